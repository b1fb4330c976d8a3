#pragma once
// dim3 and the short vectors float2, float4, … in place of the toolkit's vector_types.h. There a float4 is four floats,
// which a host compiler loads one by one; here it copies as one access of 16 bytes, as on a GPU, so that the memory
// report counts the loads a GPU would make.

#ifdef __VECTOR_TYPES_H__
#error "include <cuda_runtime.h> (or cuda/launch.h) before any other header of CUDA"
#endif
#define __VECTOR_TYPES_H__
#define __VECTOR_FUNCTIONS_H__
#include <cstddef>  // which the toolkit's headers expect to have been included here

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"  // structs without a name

#define GRADUS_VECTORS(name, T)                                      \
  struct name##1 {                                                   \
    T x;                                                             \
  };                                                                 \
  struct name##3 {                                                   \
    T x, y, z;                                                       \
  };                                                                 \
  struct alignas(2 * sizeof(T)) name##2 {                            \
    typedef T Whole __attribute__((vector_size(2 * sizeof(T))));     \
    union {                                                          \
      struct {                                                       \
        T x, y;                                                      \
      };                                                             \
      Whole whole;                                                   \
    };                                                               \
    name##2() = default;                                             \
    name##2(T a, T b) : whole{a, b} {}                               \
    name##2(const name##2 & other) : whole(other.whole) {}           \
    name##2 & operator=(const name##2 & other) {                     \
      whole = other.whole;                                           \
      return *this;                                                  \
    }                                                                \
  };                                                                 \
  struct alignas(4 * sizeof(T)) name##4 {                            \
    typedef T Whole __attribute__((vector_size(4 * sizeof(T))));     \
    union {                                                          \
      struct {                                                       \
        T x, y, z, w;                                                \
      };                                                             \
      Whole whole;                                                   \
    };                                                               \
    name##4() = default;                                             \
    name##4(T a, T b, T c, T d) : whole{a, b, c, d} {}               \
    name##4(const name##4 & other) : whole(other.whole) {}           \
    name##4 & operator=(const name##4 & other) {                     \
      whole = other.whole;                                           \
      return *this;                                                  \
    }                                                                \
  };                                                                 \
  inline name##1 make_##name##1(T x) { return {x}; }                 \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }         \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

GRADUS_VECTORS(char, signed char)
GRADUS_VECTORS(uchar, unsigned char)
GRADUS_VECTORS(short, short)
GRADUS_VECTORS(ushort, unsigned short)
GRADUS_VECTORS(int, int)
GRADUS_VECTORS(uint, unsigned)
GRADUS_VECTORS(longlong, long long)
GRADUS_VECTORS(ulonglong, unsigned long long)
GRADUS_VECTORS(float, float)
GRADUS_VECTORS(double, double)
#undef GRADUS_VECTORS
#pragma GCC diagnostic pop

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
