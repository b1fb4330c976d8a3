#include "nn/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace gradus {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

Stopwatch::Stopwatch() : start_(now()) {}
double Stopwatch::seconds() const { return now() - start_; }

std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds,
                          const std::string& note) {
  constexpr int64_t width = 24;
  const double share = total > 0 ? std::clamp(double(done) / double(total), 0.0, 1.0) : 1.0;
  std::string bar(size_t(share * width), '=');
  if (bar.size() < width) bar += '>';
  bar.resize(width, ' ');
  std::string line = fmt::format("{} [{}] {}/{}  {:.1f} s", label, bar, done, total, seconds);
  if (share > 0 && share < 1) line += fmt::format(", {:.1f} s left", seconds / share * (1 - share));
  if (!note.empty()) line += "  " + note;
  return line;
}

Progress::Progress(std::string label, int64_t total)
    : label_(std::move(label)), total_(total), terminal_(isatty(STDERR_FILENO)) {}

Progress::~Progress() {
  if (terminal_) std::fputs("\r\x1b[K", stderr);
}

void Progress::advance(const std::string& note) {
  ++done_;
  const double seconds = stopwatch_.seconds();
  if (!terminal_ || (seconds - shown_at_ < 0.1 && done_ < total_)) return;  // ten times a second is enough for the eye
  shown_at_ = seconds;
  std::fputs(("\r" + progress_line(label_, done_, total_, seconds, note) + "\x1b[K").c_str(), stderr);
}

}  // namespace gradus
