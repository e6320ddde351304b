// Back through an activation, and how large weights have become.

namespace fastautorec {

constexpr int kWarps = 8;   // of a block
constexpr int kRows = 128;  // of a chunk, whose column sums one block makes

// act'(a) where act(a) = h.
__device__ __forceinline__ float slope_at(float h, int activation) {
    switch (activation) {
        case kRelu:
            return h > 0.0f ? 1.0f : 0.0f;
        case kTanh:
            return 1.0f - h * h;
        case kSigmoid:
            return h * (1.0f - h);
        default:
            return 1.0f;
    }
}

}  // namespace fastautorec

using namespace fastautorec;

// grad *= act' where the activations are `hidden`; sums of row i get the column sums of rows 128 i.. of the result.
// sums (ceil(q / 128), k), at least one row; grad, hidden (q, k). A block takes 32 columns of 128 rows, every eighth
// row each of its warps. Bound by reading both matrices and writing one.
extern "C" __global__ void __launch_bounds__(256)
    activation_backward_kernel(float* grad, float* __restrict__ sums, const float* __restrict__ hidden, long long q,
                               long long k, long long grad_stride, long long hidden_stride, int activation) {
    __shared__ float partial[kWarps][kLanes];
    const long long chunks = q > kRows ? (q + kRows - 1) / kRows : 1, tiles = (k + kLanes - 1) / kLanes;
    for (long long task = blockIdx.x; task < chunks * tiles; task += gridDim.x) {
        const long long chunk = task / tiles, column = task % tiles * kLanes + lane_number();
        const long long stop = (chunk + 1) * kRows < q ? (chunk + 1) * kRows : q;
        float sum = 0.0f;
        for (long long row = chunk * kRows + warp_number(); row < stop && column < k; row += kWarps) {
            float& g = grad[row * grad_stride + column];
            g *= slope_at(hidden[row * hidden_stride + column], activation);
            sum += g;
        }
        partial[warp_number()][lane_number()] = sum;
        __syncthreads();
        if (warp_number() == 0 && column < k) {
            float total = 0.0f;
            for (int warp = 0; warp < kWarps; ++warp) total += partial[warp][lane_number()];
            sums[chunk * k + column] = total;
        }
        __syncthreads();
    }
}

// out (k,) = column sums of matrix (rows, k), from the first row to the last. A thread for each column.
extern "C" __global__ void __launch_bounds__(256)
    add_rows_kernel(float* __restrict__ out, const float* __restrict__ matrix, long long rows, long long k) {
    FASTAUTOREC_GRID_STRIDE(column, k) {
        float sum = 0.0f;
#pragma unroll 8
        for (long long row = 0; row < rows; ++row) sum += matrix[row * k + column];
        out[column] = sum;
    }
}

// sums (a place for each block) add up to the sum of squares of matrix (rows, k). A warp for each row, the matrix is
// read once.
extern "C" __global__ void __launch_bounds__(256) sum_of_squares_kernel(double* sums, const float* __restrict__ matrix,
                                                                        long long rows, long long k, long long stride) {
    __shared__ double parts[kWarps];
    double sum = 0;
    for (long long row = blockIdx.x * static_cast<long long>(kWarps) + warp_number(); row < rows;
         row += static_cast<long long>(gridDim.x) * kWarps)
        for (long long column = lane_number(); column < k; column += kLanes) {
            const double value = matrix[row * stride + column];
            sum += value * value;
        }
    sum = block_sum(sum, parts);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
