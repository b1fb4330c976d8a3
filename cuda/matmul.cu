// The matrix product: by cuBLAS, with bias and ReLU in bfloat16 by cuDNN.

#include "core/cuda.h"
#include "cuda/cudnn_run.h"
#include "cuda/device.h"
#include "cuda/kernels.h"
//
#include <cublas_v2.h>

namespace gradus::cuda {
namespace {

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) fail(std::string(call) + ": " + cublasGetStatusString(status));
}

// A handle for each thread and device, whose work goes to the thread's stream. The device is current.
cublasHandle_t handle_on(Device device) {
  struct Handles {
    std::vector<cublasHandle_t> of_device;
    ~Handles() {
      for (cublasHandle_t handle : of_device)
        if (handle) cublasDestroy(handle);
    }
  };
  static thread_local Handles handles;
  if (handles.of_device.size() <= device.index) handles.of_device.resize(size_t(device.index) + 1);
  cublasHandle_t& handle = handles.of_device[device.index];
  if (!handle) {
    check(cublasCreate(&handle), "cublasCreate");
    check(cublasSetStream(handle, cudaStreamPerThread), "cublasSetStream");
  }
  return handle;
}

// A factor as cuBLAS takes it: rows behind each other, or columns (then it is the transpose that lies in rows).
struct Factor {
  Tensor memory;
  bool transposed;
  int64_t leading, batch_stride;

  Factor(const Tensor& x, bool transpose) : memory(x), transposed(transpose) {
    const auto lies_in_rows = [](int64_t rows, int64_t columns, int64_t row_step, int64_t column_step) {
      return (column_step == 1 || columns <= 1) && (row_step >= std::max<int64_t>(columns, 1) || rows <= 1);
    };
    const int d = x.dim();
    const int64_t rows = x.shape()[d - 2], columns = x.shape()[d - 1];
    const int64_t row_step = x.strides()[d - 2], column_step = x.strides()[d - 1];
    if (lies_in_rows(rows, columns, row_step, column_step)) {
      leading = rows > 1 ? row_step : columns;
    } else if (lies_in_rows(columns, rows, column_step, row_step)) {
      transposed = !transpose;
      leading = columns > 1 ? column_step : rows;
    } else {
      memory = Tensor::empty(x.shape(), x.dtype(), x.device());
      copy(x, memory);
      leading = columns;
    }
    leading = std::max<int64_t>(leading, 1);
    batch_stride = d == 3 && memory.shape()[0] > 1 ? memory.strides()[0] : 0;
  }
};

cudaDataType type_of(Dtype dtype) {
  return dtype == float64 ? CUDA_R_64F : dtype == bfloat16 ? CUDA_R_16BF : CUDA_R_32F;
}

template <class T> __global__ void repeat_row(int64_t count, int64_t n, const T* row, T* y) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) y[i] = row[i % n];
}

// y = relu(x·weightᵀ + bias); false if cuDNN cannot do it.
bool run_cudnn(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y) {
  if (y.dtype() != bfloat16 || x.numel() == 0 || !is_aligned(y)) return false;
  const Tensor rows = prepared(x, bfloat16), matrix = prepared(weight, bfloat16), added = prepared(bias, bfloat16);
  const Operand operands[] = {{LinearTask::x, Target(rows).data},
                              {LinearTask::weight, Target(matrix).data},
                              {LinearTask::bias, Target(added).data},
                              {LinearTask::y, Target(y).data}};
  return run_cudnn(LinearTask{y.shape()[0], x.shape()[1], y.shape()[1]}, y.device(), operands);
}

// cuBLAS counts elements column by column: to it our y is yᵀ = bᵀ·aᵀ, and each of our factors its own transpose.
// bfloat16 factors are multiplied by Tensor Cores and summed in float32.
void multiply(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Tensor& y) {
  const int d = y.dim();
  const int64_t m = y.shape()[d - 2], n = y.shape()[d - 1], batch = d == 3 ? y.shape()[0] : 1;
  const int64_t k = a.shape()[transpose_a ? d - 2 : d - 1];
  if (k == 0 && !bias.defined()) return fill(y, 0);
  if (bias.defined()) {
    const Tensor row = compact(bias, y.dtype());
    visit(y.dtype(), [&]<class T>() {
      launch_for(y.numel(), y.device(), repeat_row<T>, y.numel(), n, pointer<const T>(row), pointer<T>(y));
    });
    if (k == 0) return;
  }
  if (std::max({m, n, k}) > INT32_MAX) fail("a dimension is larger than cuBLAS takes (2^31 − 1)");
  const Factor left(a, transpose_a), right(b, transpose_b);
  const cudaDataType type = type_of(y.dtype());
  const cublasComputeType_t compute = y.dtype() == float64                   ? CUBLAS_COMPUTE_64F
                                      : y.dtype() == float32 && allow_tf32() ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                             : CUBLAS_COMPUTE_32F;
  const double one = 1, beta = bias.defined() ? 1 : 0;
  const float one_in_float = 1, beta_in_float = float(beta);
  const bool in_double = y.dtype() == float64;
  const auto address = [](const Tensor& x) -> void* {
    return static_cast<std::byte*>(x.storage()->data()) + x.offset() * int64_t(item_size(x.dtype()));
  };
  const auto operation = [](const Factor& factor) { return factor.transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  const DeviceGuard guard(y.device());
  check(cublasGemmStridedBatchedEx(handle_on(y.device()), operation(right), operation(left), int(n), int(m), int(k),
                                   in_double ? static_cast<const void*>(&one) : &one_in_float, address(right.memory),
                                   type, int(right.leading), right.batch_stride, address(left.memory), type,
                                   int(left.leading), left.batch_stride,
                                   in_double ? static_cast<const void*>(&beta) : &beta_in_float, address(y), type,
                                   int(n), m * n, int(batch), compute, CUBLAS_GEMM_DEFAULT),
        "cublasGemmStridedBatchedEx");
}

}  // namespace

void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias, bool relu,
            const Tensor& y) {
  if (y.numel() == 0) return;
  if (relu && y.dim() == 2 && !transpose_a && transpose_b && run_cudnn(a, b, bias, y)) return;
  multiply(a, transpose_a, b, transpose_b, bias, y);
  if (relu) rectify(y);
}

}  // namespace gradus::cuda
