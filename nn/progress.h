#pragma once
// How far a long loop has come, in one line of the terminal.

#include <cstdint>
#include <string>

namespace gradus {

/// Measures time from its construction on.
class Stopwatch {
 public:
  Stopwatch();
  double seconds() const;

 private:
  double start_;
};

/// "epoch 3 [=======>      ] 412/938  2.1 s, 2.7 s left  loss 0.321"
std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds,
                          const std::string& note);

/// Shows a progress bar on the standard error while it is alive; the line is removed at the end. Silent if the standard
/// error is not a terminal.
class Progress {
 public:
  Progress(std::string label, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Counts one more step as done; `note` is shown behind the bar.
  void advance(const std::string& note = {});

 private:
  std::string label_;
  int64_t done_ = 0, total_;
  Stopwatch stopwatch_;
  double shown_at_ = 0;
  bool terminal_;
};

}  // namespace gradus
