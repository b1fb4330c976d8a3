#include "derive/step.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <set>
#include <span>
#include <sstream>

#include "derive/console.h"
#include "derive/step_text.h"
#include "ops/view.h"

namespace gradus {
namespace {

std::string without_blanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == text.npos ? std::string() : std::string(text.substr(begin, end - begin + 1));
}

int64_t integer(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) fail("'" + text + "' is not a whole number");
  return number;
}

// The part of x that "0, 1:3, :" names, as in Python, but for positions beyond the ends, which are errors.
Tensor sliced(Tensor x, const std::string& indices) {
  const NoGrad off;
  const Shape shape = x.shape();
  std::istringstream list(indices);
  int dim = 0, kept = 0;
  for (std::string index; std::getline(list, index, ','); ++dim) {
    if (dim == shape.dim()) fail("[" + indices + "] has more indices than the shape " + to_string(shape));
    const auto position = [&](const std::string& text, int64_t last, int64_t otherwise) {
      if (text.empty()) return otherwise;
      const int64_t at = integer(text), size = shape[dim];
      if (at < -size || at > last)
        fail(text + " lies beyond dimension " + std::to_string(dim) + " of the shape " + to_string(shape) +
             ", which goes from " + std::to_string(-size) + " to " + std::to_string(last));
      return at < 0 ? at + size : at;
    };
    const size_t colon = index.find(':');
    if (colon == index.npos) {
      const std::string number = without_blanks(index);
      if (number.empty()) fail("an index is missing in [" + indices + "]");
      x = select(x, kept, position(number, shape[dim] - 1, 0));
    } else {
      const int64_t begin = position(without_blanks(index.substr(0, colon)), shape[dim], 0);
      x = slice(x, kept++, begin, position(without_blanks(index.substr(colon + 1)), shape[dim], shape[dim]));
    }
  }
  return x;
}

/// A session: where it is, and the commands.
class Stepper {
 public:
  explicit Stepper(const Derivation& derivation) : levels_{{derivation, 1, {}}} {}

  void run(Console& console) {
    console.write(std::to_string(derivation().forward().size()) + " steps forward, " +
                  std::to_string(derivation().backward().size()) + " backward; help lists the commands.\n" + shown());
    std::string line, last;
    while (!quit_ && console.read(prompt(), line)) {
      line = without_blanks(line);
      if (line.empty()) line = last;
      last = line;
      console.write(answer(line));
    }
  }

  std::vector<std::string> completions(const std::string& line) const {
    const size_t blank = line.find(' ');
    if (blank != line.npos) {
      const std::vector<const Command*> found = meant_by(line.substr(0, blank));
      return found.size() == 1 && found[0]->completions ? (this->*found[0]->completions)() : std::vector<std::string>();
    }
    std::vector<std::string> names;
    for (const Command& each : commands()) names.push_back(each.name);
    return names;
  }

 private:
  struct Level {
    Derivation derivation;
    size_t step;
    std::string operation;  // that was opened; none at the bottom
  };
  struct Command {
    const char *name, *letter, *argument, *help;
    std::string (Stepper::*run)(const std::string& argument);
    std::vector<std::string> (Stepper::*completions)() const = nullptr;
  };
  static std::span<const Command> commands();

  const Derivation& derivation() const { return levels_.back().derivation; }
  size_t& at() { return levels_.back().step; }
  size_t at() const { return levels_.back().step; }
  size_t forward_index() const { return size_t(&forward() - derivation().forward().data()); }
  const ForwardStep& forward() const { return forward_of(derivation(), at()); }
  std::string shown() const { return step_text(derivation(), at()); }

  std::string prompt() const {
    std::string text = "(gradus";
    for (const Level& each : levels_)
      text += (each.operation.empty() ? "" : " " + printable(each.operation)) + ' ' + std::to_string(each.step) + '/' +
              std::to_string(each.derivation.size());
    return text + ") ";
  }

  std::string answer(const std::string& line) try {
    if (line.empty()) return {};
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    return (this->*command(line.substr(0, end)).run)(without_blanks(line.substr(end)));
  } catch (const std::exception& error) {
    return error.what() + std::string("\n");
  }

  static std::vector<const Command*> meant_by(const std::string& word);
  static const Command& command(const std::string& word);

  std::string move(size_t step) {
    at() = step;
    return shown();
  }

  std::string next(const std::string&) {
    if (at() == derivation().size()) fail("this is the last step");
    return move(at() + 1);
  }
  std::string previous(const std::string&) {
    if (at() == 1) fail("this is the first step");
    return move(at() - 1);
  }
  std::string go_to(const std::string& argument) {
    const int64_t step = integer(argument), last = int64_t(derivation().size());
    if (step < 1 || step > last) fail("there are steps 1 to " + std::to_string(last));
    return move(size_t(step));
  }
  std::string to_forward(const std::string&) { return move(forward_index() + 1); }
  std::string to_backward(const std::string&) { return move(backward_number()); }

  size_t backward_number() const {
    const auto& steps = derivation().backward();
    const auto found = std::ranges::find(steps, forward_index(), &BackwardStep::forward);
    if (found == steps.end()) fail("no gradient flows through this step");
    return derivation().forward().size() + size_t(found - steps.begin()) + 1;
  }

  std::string value(const std::string& argument) {
    if (argument.empty()) return shown();
    const auto& quantities = derivation().quantities();
    const auto known = [&](const Quantity& each) {
      return printable(each.name) == argument || to_text(each.gradient_symbol) == argument;
    };
    const bool whole = argument.back() != ']' || std::ranges::any_of(quantities, known);
    const size_t bracket = whole ? argument.size() : argument.rfind('[');
    const std::string name = without_blanks(std::string_view(argument).substr(0, bracket));
    const Quantity& quantity = quantities[derivation().find(name)];
    const bool is_gradient = to_text(quantity.gradient_symbol) == name && printable(quantity.name) != name;
    Tensor numbers = is_gradient ? quantity.gradient : quantity.value;
    if (!numbers.defined()) fail("no gradient flows to " + quantity.name);
    if (!whole) numbers = sliced(numbers, argument.substr(bracket + 1, argument.size() - bracket - 2));
    return value_text(argument, numbers);
  }

  std::string rule(const std::string&) { return rule_text(derivation(), backward_number()); }

  std::string check(const std::string& argument) {
    if (argument == "all") return check_all();
    if (!argument.empty()) fail("check takes no argument, or all");
    return "  " + check_text(derivation().check_step(forward_index())) + '\n';
  }

  std::string check_all() const {
    const size_t forward_steps = derivation().forward().size();
    std::string text, wrong;
    const auto add = [&](const std::string& what, const GradcheckResult& result) {
      text += "  " + what + ": " + check_text(result) + '\n';
      if (!result) wrong += (wrong.empty() ? "" : ", ") + what;
    };
    for (size_t i = 0; i < derivation().backward().size(); ++i) {
      const size_t index = derivation().backward()[i].forward;
      add("step " + std::to_string(forward_steps + i + 1) + " (" + printable(derivation().forward()[index].operation) +
              ")",
          derivation().check_step(index));
    }
    for (size_t i = 0; i < derivation().quantities().size(); ++i)
      if (const Quantity& each = derivation().quantities()[i]; each.step == Quantity::leaf && each.gradient.defined())
        add("all of " + to_text(each.gradient_symbol), derivation().check_gradient(i));
    return text + (wrong.empty() ? mark::good + std::string("All agree.") : mark::bad + ("Wrong: " + wrong + ".")) +
           mark::end + '\n';
  }

  std::string expand(const std::string& argument) {
    if (argument.empty()) fail("expand takes the name of a tensor, as in: expand W");
    std::ostringstream text;
    text << derivation().expand(argument);
    return "  " + text.str() + '\n';
  }

  std::string plain(const std::string&) {
    Derivation opened = derivation().open(forward_index());
    levels_.push_back({std::move(opened), 1, forward().operation});
    return shown();
  }
  std::string up(const std::string&) {
    if (levels_.size() == 1) fail("no step is open here");
    levels_.pop_back();
    return shown();
  }

  std::string graph(const std::string&) {
    return listed([](size_t) { return true; });
  }
  std::string find(const std::string& argument) {
    const auto with_name = [&](size_t step) {
      return printable(forward_of(derivation(), step).operation) == argument ||
             printable(forward_of(derivation(), step).module) == argument;
    };
    if (std::string text = listed(with_name); !text.empty()) return text;
    const size_t quantity = derivation().find(argument);
    return listed([&](size_t step) {
      const ForwardStep& forward_step = forward_of(derivation(), step);
      const BackwardStep* backward = backward_of(derivation(), step);
      if (!backward) return forward_step.result == quantity || std::ranges::count(forward_step.inputs, quantity) > 0;
      return forward_step.result == quantity ||
             std::ranges::count(backward->contributions, quantity, &Contribution::to) > 0;
    });
  }
  template <class F> std::string listed(const F& is_listed) const {
    std::string text;
    for (size_t step = 1; step <= derivation().size(); ++step)
      if (is_listed(step)) text += (step == at() ? "→ " : "  ") + overview_text(derivation(), step) + '\n';
    return text;
  }

  std::string source(const std::string&) { return source_text(forward()); }
  std::string where(const std::string&) { return "  " + where_text(forward()) + '\n'; }

  std::string add_break(const std::string& argument) {
    if (argument == "off") breaks_.clear();
    else if (!argument.empty()) {
      const std::vector<std::string> known = break_names();
      if (std::ranges::count(known, argument) == 0)
        fail(fmt::format("no step is {}; break takes one of {}", argument, fmt::join(known, ", ")));
      breaks_.insert(argument);
    }
    if (breaks_.empty()) return "run stops at the last step.\n";
    return fmt::format("run stops at {}.\n", fmt::join(breaks_, ", "));
  }

  std::string go_on(const std::string&) {
    if (at() == derivation().size()) fail("this is the last step");
    size_t step = at() + 1;
    while (step < derivation().size() && !stops_at(step)) ++step;
    return move(step);
  }

  bool stops_at(size_t step) const {
    if (breaks_.count(printable(forward_of(derivation(), step).operation))) return true;
    if (!breaks_.count("nonfinite")) return false;
    const auto is_nonfinite = [](const Tensor& x) {
      return std::ranges::any_of(x.to_vector<double>(), [](double value) { return !std::isfinite(value); });
    };
    const BackwardStep* backward = backward_of(derivation(), step);
    if (backward) return std::ranges::any_of(backward->contributions, is_nonfinite, &Contribution::value);
    return is_nonfinite(derivation().quantities()[forward_of(derivation(), step).result].value);
  }

  std::string quit(const std::string&) {
    quit_ = true;
    return {};
  }

  std::string help(const std::string& argument) {
    if (!argument.empty()) return row(command(argument));
    std::string text;
    for (const Command& each : commands()) text += row(each);
    return text + "The beginning of a name will do; an empty line repeats the last command.\n";
  }
  static std::string row(const Command& each) {
    std::string text = each.name + std::string(", ") + each.letter + ' ' + each.argument;
    text.resize(std::max<size_t>(text.size() + 1, 24), ' ');
    return "  " + text + each.help + '\n';
  }

  // What arguments may be completed to.
  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const Quantity& each : derivation().quantities()) {
      if (each.is_number) continue;
      list.push_back(printable(each.name));
      if (each.gradient.defined()) list.push_back(to_text(each.gradient_symbol));
    }
    return list;
  }
  std::vector<std::string> break_names() const {
    std::set<std::string> list{"nonfinite"};
    for (const ForwardStep& each : derivation().forward()) list.insert(printable(each.operation));
    return {list.begin(), list.end()};
  }
  std::vector<std::string> command_names() const { return completions({}); }

  std::vector<Level> levels_;
  std::set<std::string> breaks_;
  bool quit_ = false;
};

std::span<const Stepper::Command> Stepper::commands() {
  static const Command list[] = {
      {"next", "n", "", "the next step", &Stepper::next},
      {"previous", "p", "", "the step before", &Stepper::previous},
      {"goto", "g", "N", "step number N", &Stepper::go_to},
      {"forward", "f", "", "the forward step that this one differentiates", &Stepper::to_forward},
      {"backward", "b", "", "the backward step that differentiates this one", &Stepper::to_backward},
      {"value", "v", "NAME", "numbers: value W, value dL/dW, value W[0, 1:3]; this step's without a name",
       &Stepper::value, &Stepper::names},
      {"rule", "r", "", "the rule by which this step is differentiated", &Stepper::rule},
      {"check", "c", "[all]", "the rule against finite differences, of this step or of all and the whole",
       &Stepper::check},
      {"expand", "e", "NAME", "the closed expression of a gradient", &Stepper::expand, &Stepper::names},
      {"plain", "o", "", "opens a fused step: its definition in simpler operations", &Stepper::plain},
      {"up", "u", "", "leaves an opened step", &Stepper::up},
      {"graph", "t", "", "all steps, a line each", &Stepper::graph},
      {"source", "s", "", "your program around the line of this step", &Stepper::source},
      {"where", "w", "", "the line of your program that asked for this step", &Stepper::where},
      {"find", "/", "NAME", "the steps that have to do with a tensor, an operation or a module", &Stepper::find,
       &Stepper::names},
      {"break", "k", "NAME", "lets run stop at an operation, or at numbers that are nonfinite; off: no more",
       &Stepper::add_break, &Stepper::break_names},
      {"run", "x", "", "goes on to the next stop, or to the last step", &Stepper::go_on},
      {"quit", "q", "", "ends", &Stepper::quit},
      {"help", "h", "COMMAND", "this list, or a line of it", &Stepper::help, &Stepper::command_names},
  };
  return list;
}

// By its letter, its name, or the beginning of that, which may be that of several.
std::vector<const Stepper::Command*> Stepper::meant_by(const std::string& word) {
  std::vector<const Command*> found;
  for (const Command& each : commands()) {
    if (word == each.letter || word == each.name) return {&each};
    if (std::string_view(each.name).starts_with(word)) found.push_back(&each);
  }
  return found;
}

const Stepper::Command& Stepper::command(const std::string& word) {
  const std::vector<const Command*> found = meant_by(word);
  if (found.empty()) fail("there is no command " + word + "; help lists them");
  if (found.size() == 1) return *found[0];
  std::vector<const char*> names;
  for (const Command* each : found) names.push_back(each->name);
  fail(fmt::format("{} may be {}", word, fmt::join(names, " or ")));
}

}  // namespace

void step(const Derivation& derivation) {
  Stepper stepper(derivation);
  Console console([&](const std::string& line) { return stepper.completions(line); });
  stepper.run(console);
}

void step(const Derivation& derivation, std::istream& in, std::ostream& out) {
  Console console(in, out);
  Stepper(derivation).run(console);
}

void print_steps(const Derivation& derivation, std::ostream& out) {
  Console console(std::cin, out);
  const size_t forward_steps = derivation.forward().size();
  for (size_t i = 0; i < derivation.backward().size(); ++i)
    console.write('\n' + step_text(derivation, forward_steps + i + 1) +
                  "  check: " + check_text(derivation.check_step(derivation.backward()[i].forward)) + '\n');
}

}  // namespace gradus
