#include "derive/console.h"

#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <iostream>

#include "derive/formula.h"
#ifdef GRADUS_LIBEDIT
#include <histedit.h>
#endif

namespace gradus {

#ifdef GRADUS_LIBEDIT
/// Lines from a terminal by way of libedit: editing as in Emacs or as ~/.editrc says, history with the arrows, the tab
/// key completes, and Ctrl-C clears the line.
class LineEditor {
 public:
  explicit LineEditor(Console::Completion completion)
      : completion_(std::move(completion)), locale_(std::setlocale(LC_CTYPE, nullptr)) {
    std::setlocale(LC_CTYPE, "");  // for the letters beyond ASCII in names
    editor_ = el_init("gradus", stdin, stdout, stderr);
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, 1000);
    history(history_, &event, H_SETUNIQUE, 1);
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &LineEditor::prompt);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_ADDFN, "complete", "completes a word", &LineEditor::complete);
    el_set(editor_, EL_BIND, "^I", "complete", nullptr);
    el_set(editor_, EL_BIND, "^C", "em-kill-line", nullptr);
    el_set(editor_, EL_SETTY, "-d", "-isig", nullptr);  // ^C is a key while a line is edited
    el_source(editor_, nullptr);
  }
  ~LineEditor() {
    history_end(history_);
    el_end(editor_);
    std::setlocale(LC_CTYPE, locale_.c_str());
  }
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  bool read(const std::string& prompt, std::string& line) {
    prompt_ = prompt;
    int count = 0;
    const char* text = el_gets(editor_, &count);
    if (!text || count < 1) return false;
    line.assign(text, size_t(count));
    if (line.back() == '\n') line.pop_back();
    HistEvent event;
    if (!line.empty()) history(history_, &event, H_ENTER, line.c_str());
    return true;
  }

 private:
  static LineEditor& self(EditLine* editor) {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return *static_cast<LineEditor*>(data);
  }
  static char* prompt(EditLine* editor) { return self(editor).prompt_.data(); }

  static unsigned char complete(EditLine* editor, int) {
    const LineInfo* info = el_line(editor);
    const std::string line(info->buffer, info->cursor);
    const std::string word = line.substr(line.find_last_of(' ') + 1);
    std::vector<std::string> matches;
    for (std::string& each : self(editor).completion_(line))
      if (each.starts_with(word)) matches.push_back(std::move(each));
    if (matches.empty()) return CC_REFRESH_BEEP;
    std::string common = matches[0];
    for (const std::string& each : matches)
      common.erase(std::mismatch(common.begin(), common.end(), each.begin(), each.end()).first, common.end());
    if (matches.size() == 1) common += ' ';
    if (common.size() > word.size()) {
      el_insertstr(editor, common.c_str() + word.size());
      return CC_REFRESH;
    }
    std::cout << '\n';
    for (const std::string& each : matches) std::cout << each << "  ";
    std::cout << std::endl;
    return CC_REDISPLAY;
  }

  Console::Completion completion_;
  std::string locale_, prompt_;
  EditLine* editor_;
  History* history_;
};
#else
class LineEditor {
 public:
  explicit LineEditor(const Console::Completion&) {}
  bool read(const std::string& prompt, std::string& line) {
    std::cout << prompt << std::flush;
    return bool(std::getline(std::cin, line));
  }
};
#endif

Console::Console(Completion completion) : in_(std::cin), out_(std::cout) {
  const bool terminal = isatty(STDOUT_FILENO);
  colored_ = terminal && !std::getenv("NO_COLOR");
  echo_ = !isatty(STDIN_FILENO);
  if (terminal && !echo_) editor_ = std::make_unique<LineEditor>(std::move(completion));
}
Console::Console(std::istream& in, std::ostream& out) : in_(in), out_(out) {}
Console::~Console() = default;

bool Console::read(const std::string& prompt, std::string& line) {
  bool more;
  if (editor_) {
    more = editor_->read(prompt, line);
  } else {
    out_ << prompt << std::flush;
    more = bool(std::getline(in_, line));
    if (more && echo_) out_ << printable(line) << '\n';
  }
  if (!more) out_ << std::endl;
  return more;
}

void Console::write(std::string_view text) {
  static constexpr std::string_view special = "\n\x01\x02\x03\x04\x05";
  static constexpr const char* colors[] = {"\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[1;31m", "\x1b[0m"};
  while (!text.empty()) {
    const size_t length = text.find_first_of(special);
    out_ << printable(text.substr(0, length));
    if (length == text.npos) break;
    if (text[length] == '\n') out_ << '\n';
    else if (colored_) out_ << colors[text[length] - 1];
    text.remove_prefix(length + 1);
  }
  out_ << std::flush;
}

}  // namespace gradus
