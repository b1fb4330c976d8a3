// Sessions of the stepper, as scripts.

#include "derive/step.h"

#include <doctest/doctest.h>
#include <gradus.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "examples/step_through_cases.h"
#include "ops/custom.h"
#include "tests/files.h"

using namespace gradus;

namespace {

// What a session answers to commands; prompts and the repeated commands are part of it.
std::string session(const Derivation& derivation, const std::string& commands) {
  std::istringstream in(commands);
  std::ostringstream out;
  step(derivation, in, out);
  return out.str();
}

// Without what comes before the first prompt, and without the lines of this program, whose numbers change.
std::string answers(const Derivation& derivation, const std::string& commands) {
  std::istringstream lines(session(derivation, commands));
  std::string text, line;
  while (std::getline(lines, line) && !line.starts_with("(gradus")) continue;
  do
    if (!line.starts_with("  step_t")) text += line + '\n';
  while (std::getline(lines, line));
  return text;
}

// For numbers in another layout.
std::string without_blanks(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

Derivation of_a_case(Tensor (*loss)()) {
  const KeepValues keep;
  return Derivation(loss());
}

struct WrongCube {
  static constexpr Info info{"wrong_cube"};
  template <class T> auto forward(const T& x) const { return x * x * x; }
  template <class T> auto backward(const T& dy, const T& x) const { return dy * formula::number<T>(2) * x * x; }
};

}  // namespace

TEST_CASE("step: next, previous, goto, and an empty line") {
  const Derivation derivation = of_a_case(cases::scalar);
  CHECK(session(derivation, "")
            .starts_with("5 steps forward, 5 backward; help lists the commands.\n"
                         "Step 1, forward: mul\n  v1 = a·b\n  a = 2.\n  b = -3.\n  v1 = -6.\n"
                         "  step_through_cases.h:"));
  const std::string sum = "Step 2, forward: add\n  v2 = v1 + c\n  v1 = -6.\n  c = 6.5000\n  v2 = 0.5000\n";
  const std::string tanh = "Step 3, forward: tanh\n  y = tanh(v2)\n  v2 = 0.5000\n  y = 0.4621\n";
  CHECK(answers(derivation, "next\n\nprev\n") ==
        "(gradus 1/10) next\n" + sum + "(gradus 2/10) \n" + tanh + "(gradus 3/10) prev\n" + sum + "(gradus 2/10) \n");
  CHECK(answers(derivation, "p\ng 3\ngoto 11\ngoto x\ngoto 10\nn\nx\n") ==
        "(gradus 1/10) p\nthis is the first step\n(gradus 1/10) g 3\n" + tanh +
            "(gradus 3/10) goto 11\nthere are steps 1 to 10\n(gradus 3/10) goto x\n'x' is not a whole number\n"
            "(gradus 3/10) goto 10\nStep 10, backward through mul\n  v1 = a·b\n  dL/da = dL/dv1·b\n  dL/da = 2.5381\n"
            "  dL/db = dL/dv1·a\n  dL/db = -1.6921\n(gradus 10/10) n\nthis is the last step\n(gradus 10/10) x\n"
            "this is the last step\n(gradus 10/10) \n");
}

TEST_CASE("step: an operand that is used twice is shown once") {
  const KeepValues keep;
  const Tensor x = Tensor(3).named("x").requires_grad();
  CHECK(contains(session(Derivation(x * x), ""), "forward: mul\n  L = x·x\n  x = 3.\n  L = 9.\n"));
}

TEST_CASE("step: from a step to its other side, its rule and its check") {
  CHECK(answers(of_a_case(cases::scalar), "g 3\nb\nf\nr\nc\ncheck one\n") ==
        "(gradus 1/10) g 3\nStep 3, forward: tanh\n  y = tanh(v2)\n  v2 = 0.5000\n  y = 0.4621\n"
        "(gradus 3/10) b\nStep 8, backward through tanh\n  y = tanh(v2)\n  dL/dv2 = dL/dy·(1 − y·y)\n"
        "  dL/dv2 = -0.8460\n(gradus 8/10) f\nStep 3, forward: tanh\n  y = tanh(v2)\n  v2 = 0.5000\n  y = 0.4621\n"
        "(gradus 3/10) r\n  y = tanh(v2)\n  dL/dv2 = dL/dy·(1 − y·y)\n"
        "(gradus 3/10) c\n  1 element agrees with finite differences, to 3.6e-08\n"
        "(gradus 3/10) check one\ncheck takes no argument, or all\n(gradus 3/10) \n");
}

TEST_CASE("step: values and their parts") {
  const Derivation derivation = of_a_case(cases::layernorm);
  CHECK(answers(derivation, "v x\nv dL/dbias\nvalue x[1, :2]\nv x[-1,-1]\nv x[:, 1:]\n") ==
        "(gradus 1/4) v x\n  x = [[ 1.,  2.,  3.],\n       [-2.,  0.,  8.]]\n"
        "(gradus 1/4) v dL/dbias\n  dL/dbias = [-0.3835, -0.6419, -0.1288]\n"
        "(gradus 1/4) value x[1, :2]\n  x[1, :2] = [-2.,  0.]\n"
        "(gradus 1/4) v x[-1,-1]\n  x[-1,-1] = 8.\n"
        "(gradus 1/4) v x[:, 1:]\n  x[:, 1:] = [[2., 3.],\n              [0., 8.]]\n(gradus 1/4) \n");
  CHECK(answers(derivation, "v x[2]\nv x[:, 4:]\nv x[0,0,0]\nv x[,]\nv x[a]\nv w\nv dL/dtarget\n") ==
        "(gradus 1/4) v x[2]\n2 lies beyond dimension 0 of the shape [2, 3], which goes from -2 to 1\n"
        "(gradus 1/4) v x[:, 4:]\n4 lies beyond dimension 1 of the shape [2, 3], which goes from -3 to 3\n"
        "(gradus 1/4) v x[0,0,0]\n[0,0,0] has more indices than the shape [2, 3]\n"
        "(gradus 1/4) v x[,]\nan index is missing in [,]\n(gradus 1/4) v x[a]\n'a' is not a whole number\n"
        "(gradus 1/4) v w\nthere is no w; the names are x, weight, bias, y, target, L\n"
        "(gradus 1/4) v dL/dtarget\nno gradient flows to target\n(gradus 1/4) \n");
}

TEST_CASE("step: the closed expression, the graph, and what has to do with a name") {
  const Derivation derivation = of_a_case(cases::scalar);
  CHECK(answers(derivation, "e a\nexpand\nexpand z\n") ==
        "(gradus 1/10) e a\n  dL/da = 2·(y − 1)·(1 − y·y)·b\n"
        "(gradus 1/10) expand\nexpand takes the name of a tensor, as in: expand W\n"
        "(gradus 1/10) expand z\nexpand: there is no z; the names are a, b, v1, c, v2, y, v3, L\n(gradus 1/10) \n");
  CHECK(answers(derivation, "graph\nfind c\n/ tanh\n/ z\n") ==
        "(gradus 1/10) graph\n→   1    mul: v1 = a·b\n    2    add: v2 = v1 + c\n    3    tanh: y = tanh(v2)\n"
        "    4    sub: v3 = y − 1\n    5    square: L = v3²\n    6 ↩  square: dL/dv3 = 2·v3\n"
        "    7 ↩  sub: dL/dy = dL/dv3\n    8 ↩  tanh: dL/dv2 = dL/dy·(1 − y·y)\n"
        "    9 ↩  add: dL/dv1 = dL/dv2, dL/dc = dL/dv2\n   10 ↩  mul: dL/da = dL/dv1·b, dL/db = dL/dv1·a\n"
        "(gradus 1/10) find c\n    2    add: v2 = v1 + c\n    9 ↩  add: dL/dv1 = dL/dv2, dL/dc = dL/dv2\n"
        "(gradus 1/10) / tanh\n    3    tanh: y = tanh(v2)\n    8 ↩  tanh: dL/dv2 = dL/dy·(1 − y·y)\n"
        "(gradus 1/10) / z\nthere is no z; the names are a, b, v1, c, v2, y, v3, L\n(gradus 1/10) \n");
  CHECK(contains(answers(of_a_case(cases::mlp), "/ out\n"),
                 "    3    linear: v3 = v2 · out.weightᵀ + out.bias  (fused)\n"));
}

TEST_CASE("step: the user's line and the lines around it") {
  const files::TemporaryFolder folder;
  const std::string file = folder.write("step_user.cpp", "one\ntwo\n\tthree\nfour\x1b[2J\n  y = square(x);  \nsix\n");
  const KeepValues keep;
  const Tensor x = Tensor(3).named("x").requires_grad();
  const Derivation derivation(square(Arg(x, Location{file.c_str(), 5})));
  CHECK(answers(derivation, "w\ns\n") ==
        "(gradus 1/2) w\n  step_user.cpp:5: y = square(x);\n"
        "(gradus 1/2) s\n     1  one\n     2  two\n     3   three\n     4  four[2J\n→    5    y = square(x);  \n"
        "     6  six\n(gradus 1/2) \n");
  const Derivation elsewhere(square(Arg(x, Location{"nowhere.cpp", 5})));
  CHECK(contains(session(elsewhere, "w\ns\n"),
                 ") w\n  nowhere.cpp:5\n(gradus 1/2) s\n"
                 "the source cannot be read: nowhere.cpp:5\n"));
}

TEST_CASE("step: a fused step opens, and is left again") {
  const std::string text = session(of_a_case(cases::softmax), "plain\ng 9\no\nn\nu\nu\n");
  CHECK(contains(text, "(gradus 1/20) plain\nopen: exp has no definition in simpler operations"));
  CHECK(contains(text, "(gradus 9/20) o\nStep 1, forward: softmax\n  u1 = log_softmax(z)\n"));
  CHECK(contains(text, "(gradus 9/20 cross_entropy 2/"));
  CHECK(contains(text, "u\nStep 9, forward: cross_entropy\n"));
  CHECK(contains(text, "(gradus 9/20) u\nno step is open here\n(gradus 9/20) \n"));
}

TEST_CASE("step: run goes on to the next break") {
  const Derivation derivation = of_a_case(cases::scalar);
  const std::string text = answers(derivation, "k\nbreak tanh\nx\nrun\nx\nk off\nk bad\n");
  CHECK(contains(text, "(gradus 1/10) k\nrun stops at the last step.\n(gradus 1/10) break tanh\nrun stops at tanh.\n"));
  CHECK(contains(text, "(gradus 1/10) x\nStep 3, forward: tanh\n"));
  CHECK(contains(text, "(gradus 3/10) run\nStep 8, backward through tanh\n"));
  CHECK(contains(text, "(gradus 8/10) x\nStep 10, "));
  CHECK(contains(text,
                 "k off\nrun stops at the last step.\n(gradus 10/10) k bad\n"
                 "no step is bad; break takes one of add, mul, nonfinite, square, sub, tanh\n"));
}

TEST_CASE("step: run stops at numbers that are not finite, in both directions") {
  const KeepValues keep;
  const Tensor x = tensor({0, 4}).named("x").requires_grad();
  CHECK(contains(session(Derivation(sum(sqrt(x * 1))), "k nonfinite\nx\n"),
                 "(gradus 1/6) x\nStep 5, backward through sqrt"));
  CHECK(contains(session(Derivation(sum(log(x * 1))), "k nonfinite\nx\n"), "(gradus 1/6) x\nStep 2, forward: log"));
}

TEST_CASE("step: commands that make no sense, help, and quit") {
  const Derivation derivation = of_a_case(cases::scalar);
  CHECK(answers(derivation, "\nxyz\nru\nh q\nhelp bad\nquit\nnext\n") ==
        "(gradus 1/10) \n(gradus 1/10) xyz\nthere is no command xyz; help lists them\n"
        "(gradus 1/10) ru\nru may be rule or run\n(gradus 1/10) h q\n  quit, q                 ends\n"
        "(gradus 1/10) help bad\nthere is no command bad; help lists them\n(gradus 1/10) quit\n");
  const std::string help = answers(derivation, "help\n");
  for (const char* command : {"next, n ", "previous, p ", "goto, g ", "forward, f ", "backward, b ", "value, v ",
                              "rule, r ", "check, c ", "expand, e ", "plain, o ", "up, u ", "graph, t ", "source, s ",
                              "where, w ", "find, / ", "break, k ", "run, x ", "quit, q ", "help, h "})
    CHECK(contains(help, std::string("\n  ") + command));
}

TEST_CASE("step: check all points out a wrong rule at its step, and no other") {
  const KeepValues keep;
  const Tensor x = tensor({1, 2}).named("x").requires_grad();
  const Derivation derivation(mean(square(map(WrongCube{}, tanh(x)))));
  const std::string text = answers(derivation, "check all\n");
  CHECK(contains(text, "\n  step 7 (wrong_cube): WRONG: for v1["));
  CHECK(contains(text, "\nWrong: step 7 (wrong_cube), all of dL/dx.\n"));
  CHECK(contains(answers(derivation, "g 3\nc\ng 2\nc\n"), "(gradus 2/8) c\n  WRONG: for v1["));
}

TEST_CASE("step: in every case all checks pass, and the numbers are those of the tape") {
  for (const cases::Case& each : cases::all) {
    CAPTURE(each.name);
    const KeepValues keep;
    const Tensor loss = each.loss();
    const Derivation derivation(loss);
    CHECK(contains(session(derivation, "check all\n"), "\nAll agree.\n"));
    const Tape tape(loss);
    REQUIRE(tape.size() == derivation.forward().size());
    for (size_t i = 0; i < tape.size(); ++i) {
      const Quantity& quantity = derivation.quantities()[derivation.forward()[i].result];
      std::ostringstream value;
      value << tape[i].value();
      const std::string shown = answers(derivation, "value " + quantity.name + "\n");
      CHECK(contains(without_blanks(shown), without_blanks(quantity.name + " = " + value.str()) + "(gradus"));
    }
  }
}

TEST_CASE("step: names cannot steer the terminal") {
  const KeepValues keep;
  const Tensor x = Tensor(2).named("x\x1b[31m\x07\xc2\x9b\xc2\xc2\x9b\x9b\x01!").requires_grad();
  const Derivation derivation(square(x).named("y\x1b]0;title\n"));
  const std::string text =
      session(derivation, "v x[31m!\ne x[31m!\nt\nc all\n/ x[31m!\nv nix\x1b[2J\n\x1b[2J\nbreak \x1b[2J\no\n");
  CHECK(contains(text, "  x[31m! = 2.\n"));
  for (const char c : text) CHECK((c == '\n' || static_cast<unsigned char>(c) >= 0x20));
  CHECK(!contains(text, "\xc2\x9b"));
  CHECK(contains(text, "there is no command [2J; help lists them"));
}
