// T X = B by substitution, T the lower or upper triangle of A or its transpose. What A has elsewhere is not read. A
// zero on the diagonal gives infinities or NaN. Parameters: dtype, n, columns k of B, upper, transposed, unit (the
// diagonal counts as 1 and is not read), columns a tile. Operands: A [.., n, n], B [.., n, k]. Result: X [.., n, k]. A
// tile is a block of columns of a matrix. Scratch: n f64 a column of a tile.
#include "runtime/routines/matrix.h"
#include "runtime/routines/routines.h"

extern "C" void gmc_triangular_solve(void* const* buffers, uint64_t begin, uint64_t end, void* scratch,
                                     const gmc::execute::RunParameters*) {
  using namespace gmc::routines;
  const auto* p = static_cast<const int64_t*>(buffers[0]);
  const int64_t dtype = p[0], n = p[1], columns = p[2], width = p[6];
  const bool upper = p[3] != 0, transposed = p[4] != 0, unit = p[5] != 0;
  const int64_t blocks = (columns + width - 1) / width;
  auto* x = static_cast<double*>(scratch);
  const auto element = [&](int64_t matrix, int64_t i, int64_t j) {
    const int64_t at = matrix * n * n + (transposed ? j * n + i : i * n + j);
    return dtype == of_f64 ? static_cast<const double*>(buffers[1])[at]
                           : static_cast<double>(static_cast<const float*>(buffers[1])[at]);
  };
  for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t) {
    const int64_t matrix = t / blocks, first = t % blocks * width, count = least(width, columns - first);
    const bool forward = upper == transposed;
    for (int64_t step = 0; step < n; ++step) {
      const int64_t i = forward ? step : n - 1 - step;
      double* row = x + i * count;
      load(row, buffers[2], dtype, (matrix * n + i) * columns + first, count);
      for (int64_t j = forward ? 0 : i + 1; j < (forward ? i : n); ++j) {
        const double factor = element(matrix, i, j);
        for (int64_t c = 0; c < count; ++c) row[c] -= factor * x[j * count + c];
      }
      if (!unit)
        for (int64_t c = 0; c < count; ++c) row[c] /= element(matrix, i, i);
      store(buffers[3], row, dtype, (matrix * n + i) * columns + first, count);
    }
  }
}
