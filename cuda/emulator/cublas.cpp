// cuBLAS in plain loops: the calls that the backend makes, with the checks of arguments that NVIDIA documents.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "device.h"
#include "trace.h"
//
#include <cublas_v2.h>
#include <cuda_bf16.h>

struct cublasContext {
  int device = gradus::emulator::current_device();
  cudaStream_t stream = nullptr;
};

namespace gradus::emulator {
namespace {

// A matrix of a batch, stored column by column: element (i, j) of what the operation makes of it.
template <class T> struct Matrix {
  const T* data;
  long long row_step, column_step, batch_stride;
  Matrix(const void* memory, cublasOperation_t operation, int leading, long long stride)
      : data(static_cast<const T*>(memory)),
        row_step(operation == CUBLAS_OP_N ? 1 : leading),
        column_step(operation == CUBLAS_OP_N ? leading : 1),
        batch_stride(stride) {}
  const T* column(int batch, int j) const { return data + batch * batch_stride + j * column_step; }
};

// A float as TF32 holds it, rounded to 10 bits of mantissa.
struct Tf32 {
  float value;
  explicit operator float() const {
    return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) + 0x1000u) & ~0x1fffu);
  }
};

// c = alpha·a·b + beta·c, summed in S. As cuBLAS says, c is not read if beta is 0.
template <class In, class T, class S> void multiply(int m, int n, int k, S alpha, const Matrix<In>& a,
                                                    const Matrix<In>& b, S beta, T* c, int ldc, long long c_stride,
                                                    int batches) {
  std::vector<S> sums(static_cast<std::size_t>(m));
  for (int batch = 0; batch < batches; ++batch)
    for (int j = 0; j < n; ++j) {
      std::fill(sums.begin(), sums.end(), S(0));
      for (int p = 0; p < k; ++p) {
        const In* column = a.column(batch, p);
        const S factor = static_cast<S>(b.column(batch, j)[p * b.row_step]);
        for (int i = 0; i < m; ++i)
          sums[static_cast<std::size_t>(i)] += static_cast<S>(column[i * a.row_step]) * factor;
      }
      T* to = c + batch * c_stride + static_cast<long long>(j) * ldc;
      for (int i = 0; i < m; ++i) {
        const S product = alpha * sums[static_cast<std::size_t>(i)];
        to[i] = static_cast<T>(beta == 0 ? product : product + beta * static_cast<S>(to[i]));
      }
    }
}

// The bytes from the first element of a batch of matrices to the end of the last.
std::size_t extent(int rows, int columns, int leading, long long stride, int batches, std::size_t item) {
  if (rows == 0 || columns == 0 || batches == 0) return 0;
  const long long last = (batches - 1) * stride + static_cast<long long>(columns - 1) * leading + rows;
  return static_cast<std::size_t>(last) * item;
}

cublasStatus_t refuse_call(const std::string& why) {
  refuse(cudaErrorInvalidValue, "cuBLAS: " + why);
  return CUBLAS_STATUS_INVALID_VALUE;
}

}  // namespace
}  // namespace gradus::emulator

using namespace gradus::emulator;

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_INVALID_VALUE: return cudaGetErrorString(cudaGetLastError());
    case CUBLAS_STATUS_NOT_SUPPORTED: return "a combination of types that is not supported";
    default: return "an error";
  }
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                                          int n, int k, const void* alpha, const void* a, cudaDataType type_a, int lda,
                                          long long stride_a, const void* b, cudaDataType type_b, int ldb,
                                          long long stride_b, const void* beta, void* c, cudaDataType type_c, int ldc,
                                          long long stride_c, int batches, cublasComputeType_t compute,
                                          cublasGemmAlgo_t) {
  auto device = use_device();
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  const std::string elsewhere = check_current("handle", handle->device);
  if (!elsewhere.empty()) return refuse_call(elsewhere);
  const int rows_a = op_a == CUBLAS_OP_N ? m : k, rows_b = op_b == CUBLAS_OP_N ? k : n;
  if (m < 0 || n < 0 || k < 0 || batches < 0) return refuse_call("a size is negative");
  if (lda < std::max(1, rows_a) || ldb < std::max(1, rows_b) || ldc < std::max(1, m))
    return refuse_call("a leading dimension is smaller than the rows of its matrix");
  const bool in_double = type_c == CUDA_R_64F;
  const bool is_tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32 && type_c == CUDA_R_32F;
  if (type_a != type_c || type_b != type_c ||
      (!is_tf32 && compute != (in_double ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F)))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  const std::size_t item = in_double ? 8 : type_c == CUDA_R_16BF ? 2 : 4;
  for (const auto& [memory, bytes] :
       {std::pair{a, extent(rows_a, op_a == CUBLAS_OP_N ? k : m, lda, stride_a, batches, item)},
        {b, extent(rows_b, op_b == CUBLAS_OP_N ? n : k, ldb, stride_b, batches, item)},
        {static_cast<const void*>(c), extent(m, n, ldc, stride_c, batches, item)}}) {
    const std::string fault = bytes ? check_operand(memory, bytes) : "";
    if (!fault.empty()) return refuse_call(fault);
  }
  const auto run = [&]<class In, class T, class S>(In, T, S) {
    const S alpha_value = *static_cast<const S*>(alpha), beta_value = *static_cast<const S*>(beta);
    const Matrix<In> left(a, op_a, lda, stride_a), right(b, op_b, ldb, stride_b);
    enqueue(handle->stream, [=] {
      multiply<In, T, S>(m, n, k, alpha_value, left, right, beta_value, static_cast<T*>(c), ldc, stride_c, batches);
      if (trace::enabled) trace::written(c, extent(m, n, ldc, stride_c, batches, sizeof(T)));
    });
  };
  if (in_double) run(double(), double(), double());
  else if (is_tf32) run(Tf32{}, float(), float());
  else if (type_c == CUDA_R_32F) run(float(), float(), float());
  else run(__nv_bfloat16(), __nv_bfloat16(), float());
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
