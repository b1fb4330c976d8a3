// The closed expression of one gradient: all rules put into one another.

#include <algorithm>
#include <map>
#include <ostream>
#include <string_view>

#include "derive/derivation.h"

namespace gradus {

/// Writes a gradient out. What is used more than once, or lies deeper than asked for, becomes a part with a name.
class Expander {
 public:
  Expander(const Derivation& derivation, const ExpandOptions& options) : derivation_(derivation), options_(options) {}

  Expansion expand(size_t quantity) {
    count(key(quantity, true));
    Expansion expansion;
    expansion.symbol = derivation_.quantities()[quantity].gradient_symbol;
    expansion.formula = written(key(quantity, true), options_.depth);
    for (size_t next = 0; next < pending_.size(); ++next) {
      const Key part = pending_[next];
      const Quantity& of = derivation_.quantities()[part.first];
      expansion.parts.push_back({part.second ? of.gradient_symbol : of.symbol, written(part, options_.depth)});
    }
    return expansion;
  }

 private:
  using Key = std::pair<size_t, bool>;  // a quantity, or its gradient
  static Key key(size_t quantity, bool gradient) { return {quantity, gradient}; }

  // What a symbol in a formula stands for; of things that are not written out, nothing.
  const Formula* definition(const Key& of) {
    const auto [entry, fresh] = definitions_.try_emplace(of);
    if (fresh) entry->second = of.second ? gradient_of(of.first) : value_of(of.first);
    return entry->second.text == "∅" ? nullptr : &entry->second;
  }
  static Formula nothing() { return {Formula::Kind::name, "∅"}; }

  Formula value_of(size_t quantity) const {
    const Quantity& of = derivation_.quantities()[quantity];
    if (of.named || of.step == Quantity::leaf) return nothing();
    return silent(derivation_.forward()[of.step].formula);
  }

  Formula gradient_of(size_t quantity) const {
    if (quantity == derivation_.result())
      return derivation_.from_one_ ? Formula{Formula::Kind::number, "1"} : nothing();
    Formula sum = nothing();
    for (size_t step : derivation_.contributors(quantity))
      for (const Contribution& each : derivation_.backward()[step].contributions) {
        if (each.to != quantity) continue;
        Formula rule = silent(each.rule);
        sum = sum == nothing() ? std::move(rule) : Formula{Formula::Kind::sum, {}, {std::move(sum), std::move(rule)}};
      }
    return sum;
  }

  // Without broadcasts and reshapes, which a reader takes for granted.
  static Formula silent(const Formula& formula) {
    if (formula.kind == Formula::Kind::call && (formula.text == "expand" || formula.text == "reshape"))
      return silent(formula.parts[0]);
    Formula result{formula.kind, formula.text, {}, formula.quantity};
    for (const Formula& part : formula.parts) result.parts.push_back(silent(part));
    if (formula.kind == Formula::Kind::derivative) result.parts = formula.parts;
    return result;
  }

  static bool is_symbol(const Formula& formula) { return formula.quantity != Formula::none; }
  // A derivative of something other than the loss, as in a rule that is only named, is not written out.
  bool is_gradient(const Formula& formula) const {
    return formula == derivation_.quantities()[formula.quantity].gradient_symbol;
  }
  bool can_be_written(const Formula& formula) const {
    return is_symbol(formula) && (formula.kind == Formula::Kind::name || is_gradient(formula));
  }

  // How often each definition is used when all are written once.
  void count(const Key& of) {
    const Formula* formula = definition(of);
    if (!formula) return;
    each_symbol(*formula, [&](const Formula& symbol) {
      const Key next = key(symbol.quantity, symbol.kind == Formula::Kind::derivative);
      if (++uses_[next] == 1) count(next);
    });
  }
  template <class F> void each_symbol(const Formula& formula, const F& f) const {
    if (can_be_written(formula)) return f(formula);
    if (formula.kind == Formula::Kind::derivative) return;
    for (const Formula& part : formula.parts) each_symbol(part, f);
  }

  // The size of a definition in which everything is written out; no more than `enough`.
  size_t whole_size(const Key& of) {
    constexpr size_t enough = 100;
    const auto [entry, fresh] = sizes_.try_emplace(of, enough);
    if (!fresh) return entry->second;
    const Formula* formula = definition(of);
    size_t size = formula ? size_of(*formula) : 1;
    if (formula)
      each_symbol(*formula, [&](const Formula& symbol) {
        size += whole_size(key(symbol.quantity, symbol.kind == Formula::Kind::derivative)) - 1;
      });
    return sizes_[of] = std::min(size, enough);
  }

  Formula written(const Key& of, int depth) {
    const Formula formula = *definition(of);  // a copy: further definitions may be added meanwhile
    std::map<Key, Formula> inner;
    return simplify(substitute(formula, [&](const Formula& symbol) -> const Formula* {
      if (!can_be_written(symbol)) return nullptr;
      const Key next = key(symbol.quantity, symbol.kind == Formula::Kind::derivative);
      const Formula* meaning = definition(next);
      if (!meaning) return nullptr;
      if (depth <= 1 || (uses_[next] > 1 && whole_size(next) > 4)) {
        if (written_.insert({next, true}).second) pending_.push_back(next);
        return nullptr;
      }
      if (!inner.count(next)) inner[next] = written(next, depth - 1);
      return &inner[next];
    }));
  }

  const Derivation& derivation_;
  ExpandOptions options_;
  std::map<Key, Formula> definitions_;
  std::map<Key, int> uses_;
  std::map<Key, size_t> sizes_;
  std::map<Key, bool> written_;
  std::vector<Key> pending_;
};

Expansion Derivation::expand(std::string_view name, const ExpandOptions& options) const {
  const Scope scope("expand", {});
  const size_t quantity = find(name);
  if (!quantities_[quantity].gradient.defined()) fail("no gradient flows to " + quantities_[quantity].name);
  if (options.depth < 1) fail("the depth must be at least 1, not " + std::to_string(options.depth));
  return Expander(*this, options).expand(quantity);
}

Expansion expand(const Tensor& result, std::string_view name, const ExpandOptions& options, Location where) {
  const Scope scope("expand", where);
  return Derivation(result).expand(name, options);
}

std::ostream& operator<<(std::ostream& out, const Expansion& expansion) {
  out << to_text(expansion.symbol) << " = " << to_text(expansion.formula);
  for (size_t i = 0; i < expansion.parts.size(); ++i)
    out << (i == 0 ? ", where\n  " : "\n  ") << to_text(expansion.parts[i].symbol) << " = "
        << to_text(expansion.parts[i].formula);
  return out;
}

}  // namespace gradus
