#pragma once
// Intrusive reference counting, one word in the object and one word in the handle; and a lock for short work.

#include <atomic>
#include <cstdint>
#include <utility>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace gradus {

/// True while the process has never started a second thread: then counters need no locked instruction (about 20
/// cycles).
inline bool single_threaded() {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded;
#else
  return false;
#endif
}

/// A counter that several threads may change; plain arithmetic while there is only one thread.
class Counter {
 public:
  int64_t add(int64_t n) {  // returns the new value
    if (single_threaded()) [[likely]] {
      const int64_t value = value_.load(std::memory_order_relaxed) + n;
      value_.store(value, std::memory_order_relaxed);
      return value;
    }
    return value_.fetch_add(n, std::memory_order_acq_rel) + n;
  }
  int64_t value() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<int64_t> value_{0};
};

/// Keeps other threads, which spin, from what the flag guards.
class SpinGuard {
 public:
  explicit SpinGuard(std::atomic_flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  SpinGuard(const SpinGuard&) = delete;
  ~SpinGuard() { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag& flag_;
};

/// Base of objects owned by Ref.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) : RefCounted() {}
  RefCounted& operator=(const RefCounted&) { return *this; }
  int64_t use_count() const { return references_.value(); }

 private:
  template <class> friend class Ref;
  Counter references_;
};

/// Shares ownership of a T. When the last Ref goes, `dispose(T*)` is called if T has one, else `delete`.
template <class T> class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* object) : object_(object) { retain(); }
  Ref(const Ref& other) : object_(other.object_) { retain(); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class Derived>
  requires std::is_convertible_v<Derived*, T*> Ref(const Ref<Derived>& other) : object_(other.get()) { retain(); }
  Ref& operator=(const Ref& other) noexcept { return *this = Ref(other); }
  // Not by value: clang 14 forgets to destroy a parameter made from `= {}` inside a template.
  Ref& operator=(Ref&& other) noexcept {
    Ref taken(std::move(other));
    std::swap(object_, taken.object_);
    return *this;
  }
  ~Ref() {
    if (object_ && object_->references_.add(-1) == 0) {
      if constexpr (requires { T::dispose(object_); }) T::dispose(object_);
      else delete object_;
    }
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_; }
  bool operator==(const Ref&) const = default;

 private:
  void retain() {
    if (object_) object_->references_.add(1);
  }
  T* object_ = nullptr;
};

}  // namespace gradus
