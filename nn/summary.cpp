#include "nn/summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/tape.h"

namespace gradus::nn {
namespace {

struct Row {
  std::string layer, operation, shape;
  bool has_parameters = false;
  int64_t count = 0;
};

std::string with_commas(int64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

// The module that the parameters have in common: "blocks.0" for "blocks.0.query.weight" and "blocks.0.key.weight".
// Where they have none, their own names.
std::string layer_of(const std::vector<std::string>& names) {
  std::string layer = names[0];
  const auto holds = [&](const std::string& name) { return name.starts_with(layer + '.'); };
  while (!layer.empty() && !std::all_of(names.begin(), names.end(), holds))
    layer.resize(layer.find('.') == layer.npos ? 0 : layer.rfind('.'));
  return layer.empty() ? fmt::format("{}", fmt::join(names, ", ")) : layer;
}

// Goes through the recorded steps and tells which parameters each one uses.
class Steps {
 public:
  explicit Steps(const NamedTensors& parameters) : parameters_(parameters), used_(parameters.size()) {
    for (size_t i = 0; i < parameters.size(); ++i) carried_[parameters[i].second.node().get()] = {i};
  }

  void add(const Node& step) {
    std::vector<size_t> numbers;
    bool of_parameters_alone = true;
    for (const Ref<Node>& input : step.inputs()) {
      if (const auto found = carried_.find(input.get()); found != carried_.end())
        numbers.insert(numbers.end(), found->second.begin(), found->second.end());
      else of_parameters_alone &= dynamic_cast<const Constant*>(input.get()) != nullptr;
    }
    if (of_parameters_alone && !numbers.empty()) carried_[&step] = numbers;  // such as the transpose of a weight
    else add_row(step, numbers);
  }

  // Without the steps that shape the input of a layer, or its result, anew.
  std::vector<Row> rows() const {
    std::vector<Row> kept;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const bool reshapes = rows_[i].operation == "reshape";
      if (reshapes && i + 1 < rows_.size() && rows_[i + 1].has_parameters) continue;
      if (reshapes && !kept.empty() && kept.back().has_parameters) kept.back().shape = rows_[i].shape;
      else kept.push_back(rows_[i]);
    }
    return kept;
  }

  std::vector<std::string> unused() const {
    std::vector<std::string> names;
    for (size_t i = 0; i < used_.size(); ++i)
      if (!used_[i]) names.push_back(parameters_[i].first);
    return names;
  }

 private:
  void add_row(const Node& step, const std::vector<size_t>& numbers) {
    Row row{"", step.operation(), to_string(step.shape()), !numbers.empty()};
    std::vector<std::string> names;
    for (const size_t number : numbers) {
      names.push_back(parameters_[number].first);
      if (!used_[number]) row.count += parameters_[number].second.numel();  // once, though it may be used again
      used_[number] = true;
    }
    if (!names.empty()) row.layer = layer_of(names);
    if (names.empty() || rows_.empty() || rows_.back().layer != row.layer) return rows_.push_back(row);
    Row& same = rows_.back();
    same.operation += ", " + row.operation;
    same.shape = row.shape;
    same.count += row.count;
  }

  const NamedTensors& parameters_;
  std::vector<bool> used_;
  std::unordered_map<const Node*, std::vector<size_t>> carried_;  // parameters, and what is made of nothing else
  std::vector<Row> rows_;
};

}  // namespace

std::string summarize(const AllOf& net, const Tensor& output) {
  const NamedTensors parameters = named_parameters(net);
  Steps steps(parameters);
  for (const Ref<Node>& step : Tape(output)) steps.add(*step);

  std::vector<std::array<std::string, 4>> table{{"layer", "operation", "output shape", "parameters"}};
  for (const Row& row : steps.rows())
    table.push_back({row.layer, row.operation, row.shape,
                     row.has_parameters ? row.count > 0 ? with_commas(row.count) : "(again)" : ""});
  std::array<size_t, 4> width{};
  for (const auto& row : table)
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  std::string text;
  for (const auto& row : table) {
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>{}}", row[0], width[0], row[1], width[1], row[2], width[2], row[3],
                        width[3]);
    text.resize(text.find_last_not_of(' ') + 1);
    text += '\n';
  }

  int64_t values = 0, all = 0, bytes = 0;
  for (const auto& [name, parameter] : parameters) values += parameter.numel();
  for (const auto& [name, tensor] : named_tensors(net)) {
    all += tensor.numel();
    bytes += tensor.numel() * int64_t(item_size(tensor.dtype()));
  }
  text += with_commas(values) + " parameters";
  if (all > values) text += " and " + with_commas(all - values) + " other values";
  text += fmt::format(", {:.2f} MiB\n", double(bytes) / (1 << 20));
  if (const std::vector<std::string> unused = steps.unused(); !unused.empty())
    text += fmt::format("without a part in the result: {}\n", fmt::join(unused, ", "));
  return text;
}

}  // namespace gradus::nn
