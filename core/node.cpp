#include "core/node.h"

#include <cstdio>

#ifdef GRADUS_GDB_SCRIPT
// 4: the text of a script in Python, behind a name.
asm(".pushsection \".debug_gdb_scripts\", \"MS\", %progbits, 1\n"
    ".byte 4\n"
    ".ascii \"gradus_gdb\\n\"\n"
    ".incbin \"" GRADUS_GDB_SCRIPT
    "\"\n"
    ".byte 0\n"
    ".popsection\n");
#endif

namespace gradus {

Node::Node(const Tensor& output, bool is_leaf)
    : is_leaf_(is_leaf), requires_grad_(!is_leaf), dtype_(output.dtype()), shape_(output.shape()) {
  position_ = positions_.add(1);
  if (const Scope* scope = Scope::current()) where_ = scope->where();
  live_.add(1);
  if (!is_leaf && KeepValues::enabled()) {
    extra().value = output.copied_anew(Device::cpu());
    extra().kept_at = position_;
  }
}

Node::~Node() { live_.add(-1); }

// A chain of a million steps must be freed on a small stack: nodes that lose their last owner while another one is
// being freed wait in a list for their turn.
void Node::dispose(Node* node) {
  static constinit thread_local Node* waiting = nullptr;
  static constinit thread_local bool freeing = false;
  node->next_to_free_ = waiting;
  waiting = node;
  if (freeing) return;
  freeing = true;
  while (waiting) {
    Node* next = waiting;
    waiting = next->next_to_free_;
    delete next;
  }
  freeing = false;
}

std::string Node::formula(std::span<const std::string>) const { return name(); }

Constant::Constant(const Tensor& tensor, double value) : Node(tensor, true), value_(value) {}

std::string Constant::formula(std::span<const std::string>) const {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value_);
  return text;
}

void Node::backward(const Tensor&, std::span<Tensor>) {}

std::vector<std::string> Node::gradient_formulas(std::span<const std::string>, const std::string&,
                                                 const std::string&) const {
  return {};
}

Tensor Node::again(std::span<const Tensor>) const { fail(std::string(operation()) + " cannot be computed again"); }

const Tensor& Node::value() const {
  static const Tensor none;
  return extra_ ? extra_->value : none;
}

const std::string& Node::name() const {
  static const std::string none;
  return extra_ ? extra_->name : none;
}

Node::Extra& Node::extra() {
  if (!extra_) extra_ = Ref(new Extra);
  return *extra_;
}

}  // namespace gradus
