// A = Q R of [.., m, n], m >= n, by Householder reflections (Golub & Van Loan, Matrix Computations, 5.2), with signs
// such that the diagonal of R is not negative. Parameters: dtype, m, n. Operand: A. Results: Q [.., m, n] with
// orthonormal columns, R [.., n, n], upper triangular. A tile is a matrix. Scratch: 2 m n + n n + n f64.
#include "runtime/routines/matrix.h"
#include "runtime/routines/routines.h"

namespace gmc::routines {
namespace {

// Applies I - v v^T 2 / (v^T v), v in column k of `a` from row k on, to the columns from `first` of x.
void reflect(const double* a, double* x, int64_t m, int64_t n, int64_t k, double factor, int64_t first) {
  for (int64_t j = first; j < n; ++j) {
    double sum = 0;
    for (int64_t i = k; i < m; ++i) sum += a[i * n + k] * x[i * n + j];
    sum *= factor;
    for (int64_t i = k; i < m; ++i) x[i * n + j] -= sum * a[i * n + k];
  }
}

void factor(double* a, double* q, double* r, double* factors, int64_t m, int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    double norm = 0;
    for (int64_t i = k; i < m; ++i) norm = hypot(norm, a[i * n + k]);
    const double head = a[k * n + k], target = head > 0 ? -norm : norm;
    // Column k turns into the vector of the reflection, its image into column k of R.
    for (int64_t i = 0; i < n; ++i) r[i * n + k] = i < k ? a[i * n + k] : i == k ? target : 0;
    a[k * n + k] = head - target;
    double square = 0;
    for (int64_t i = k; i < m; ++i) square += a[i * n + k] * a[i * n + k];
    factors[k] = square == 0 ? 0 : 2 / square;
    reflect(a, a, m, n, k, factors[k], k + 1);
  }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) q[i * n + j] = i == j ? 1 : 0;
  for (int64_t k = n; k-- > 0;) reflect(a, q, m, n, k, factors[k], k);
  for (int64_t k = 0; k < n; ++k) {
    if (!(r[k * n + k] < 0)) continue;
    for (int64_t j = k; j < n; ++j) r[k * n + j] = -r[k * n + j];
    for (int64_t i = 0; i < m; ++i) q[i * n + k] = -q[i * n + k];
  }
}

}  // namespace
}  // namespace gmc::routines

extern "C" void gmc_qr(void* const* buffers, uint64_t begin, uint64_t end, void* scratch,
                       const gmc::execute::RunParameters*) {
  using namespace gmc::routines;
  const auto* p = static_cast<const int64_t*>(buffers[0]);
  const int64_t m = p[1], n = p[2];
  auto *a = static_cast<double*>(scratch), *q = a + m * n, *r = q + m * n, *factors = r + n * n;
  for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t) {
    load(a, buffers[1], p[0], t * m * n, m * n);
    factor(a, q, r, factors, m, n);
    store(buffers[2], q, p[0], t * m * n, m * n);
    store(buffers[3], r, p[0], t * n * n, n * n);
  }
}
