// P A = L U of [.., n, n] with partial pivoting, right-looking (Golub & Van Loan, Matrix Computations, 3.4). A column
// without a pivot other than 0 is left as it is, and U has a 0 on its diagonal.
// Parameters: dtype, n. Operand: A. Results: L below the diagonal (its own is 1) and U packed into [.., n, n]; i64
// [.., n], the row of A that is row i of P A; the determinant of P, [..]. A tile is a matrix. Scratch: n n f64.
#include "runtime/routines/matrix.h"
#include "runtime/routines/routines.h"

extern "C" void gmc_lu(void* const* buffers, uint64_t begin, uint64_t end, void* scratch,
                       const gmc::execute::RunParameters*) {
  using namespace gmc::routines;
  const auto* p = static_cast<const int64_t*>(buffers[0]);
  const int64_t n = p[1];
  auto* a = static_cast<double*>(scratch);
  for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t) {
    int64_t* rows = static_cast<int64_t*>(buffers[3]) + t * n;
    double parity = 1;
    load(a, buffers[1], p[0], t * n * n, n * n);
    for (int64_t i = 0; i < n; ++i) rows[i] = i;
    for (int64_t k = 0; k < n; ++k) {
      int64_t pivot = k;
      for (int64_t i = k + 1; i < n; ++i)
        if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
      if (a[pivot * n + k] == 0) continue;
      if (pivot != k) {
        for (int64_t j = 0; j < n; ++j) swap(a[k * n + j], a[pivot * n + j]);
        swap(rows[k], rows[pivot]);
        parity = -parity;
      }
      for (int64_t i = k + 1; i < n; ++i) {
        const double factor = a[i * n + k] /= a[k * n + k];
        for (int64_t j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      }
    }
    store(buffers[2], a, p[0], t * n * n, n * n);
    store(buffers[4], &parity, p[0], t, 1);
  }
}
