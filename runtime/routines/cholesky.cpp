// A = L L^T of [.., n, n], row by row (Golub & Van Loan, Matrix Computations, 4.2). Only the lower triangle is read;
// the upper of L is 0. Where A is not positive definite, NaN or infinities stand in L. Parameters: dtype, n. Operand:
// A. Result: L. A tile is a matrix. Scratch: n n f64.
#include "runtime/routines/matrix.h"
#include "runtime/routines/routines.h"

extern "C" void gmc_cholesky(void* const* buffers, uint64_t begin, uint64_t end, void* scratch,
                             const gmc::execute::RunParameters*) {
  using namespace gmc::routines;
  const auto* p = static_cast<const int64_t*>(buffers[0]);
  const int64_t n = p[1];
  auto* a = static_cast<double*>(scratch);
  for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t) {
    load(a, buffers[1], p[0], t * n * n, n * n);
    for (int64_t i = 0; i < n; ++i) {
      double* row = a + i * n;
      for (int64_t j = 0; j <= i; ++j) {
        const double* other = a + j * n;
        double left = row[j];
        for (int64_t k = 0; k < j; ++k) left -= row[k] * other[k];
        row[j] = i == j ? sqrt(left) : left / other[j];
      }
      for (int64_t j = i + 1; j < n; ++j) row[j] = 0;
    }
    store(buffers[2], a, p[0], t * n * n, n * n);
  }
}
