#include "compiler/dsl/initialiser.h"

#include "runtime/base/error.h"
#include "runtime/base/tensor.h"
#include "runtime/execute/random.h"

#include <cmath>
#include <numeric>
#include <vector>

namespace gmc {
namespace {

using Matrix = std::vector<std::vector<double>>;

// Columns made orthonormal one after the other, twice each, which is as good as reflections (Giraud et al. 2005).
void orthonormalise(Matrix& m) {
  const size_t n = m.size();
  for (size_t c = 0; c < n; ++c) {
    for (int pass = 0; pass < 2; ++pass)
      for (size_t before = 0; before < c; ++before) {
        double along = 0;
        for (size_t r = 0; r < n; ++r) along += m[r][before] * m[r][c];
        for (size_t r = 0; r < n; ++r) m[r][c] -= along * m[r][before];
      }
    double squares = 0;
    for (size_t r = 0; r < n; ++r) squares += m[r][c] * m[r][c];
    for (size_t r = 0; r < n; ++r) m[r][c] /= std::sqrt(squares);
  }
}

// Gaussian elimination in place, largest pivots: L below the diagonal, U; the row that each row was.
std::vector<size_t> eliminate(Matrix& m) {
  const size_t n = m.size();
  std::vector<size_t> rows(n);
  std::iota(rows.begin(), rows.end(), size_t{0});
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c + 1; r < n; ++r)
      if (std::fabs(m[r][c]) > std::fabs(m[pivot][c])) pivot = r;
    std::swap(m[c], m[pivot]);
    std::swap(rows[c], rows[pivot]);
    for (size_t r = c + 1; r < n; ++r) {
      m[r][c] /= m[c][c];
      for (size_t k = c + 1; k < n; ++k) m[r][k] -= m[r][c] * m[c][k];
    }
  }
  return rows;
}

// Row-major, or the diagonal's.
std::vector<double> rotation(RotationPart part, const std::string& name, const Shape& shape, uint64_t seed) {
  const bool is_vector = part == RotationPart::sign || part == RotationPart::log_diagonal;
  if (shape.size() != (is_vector ? 1 : 2) || shape.front() != shape.back())
    fail("state '{}': a rotation's part has shape {}", name, is_vector ? "[n]" : "[n, n]");
  const auto n = static_cast<size_t>(shape[0]);
  const std::string module = name.substr(0, name.find_last_of('.') + 1);
  const uint64_t key = execute::stream_key(seed, execute::stream_of(("init/" + module).c_str()), 0);
  Matrix m(n, std::vector<double>(n));
  for (size_t e = 0; e < n * n; ++e) m[e / n][e % n] = execute::normal_of(execute::random_word(key, e));
  orthonormalise(m);
  const std::vector<size_t> rows = eliminate(m);
  std::vector<double> out;
  for (size_t r = 0; r < n; ++r) {
    if (part == RotationPart::sign) out.push_back(std::copysign(1.0, m[r][r]));
    if (part == RotationPart::log_diagonal) out.push_back(std::log(std::fabs(m[r][r])));
    for (size_t c = 0; c < n && !is_vector; ++c) {
      if (part == RotationPart::permutation) out.push_back(rows[c] == r);
      if (part == RotationPart::lower) out.push_back(c < r ? m[r][c] : c == r);
      if (part == RotationPart::upper) out.push_back(c < r ? 0 : m[r][c]);
    }
  }
  return out;
}

}  // namespace

HostTensor initial_value(const Initialiser& init, const std::string& name, DType dtype, const Shape& shape,
                         uint64_t seed) {
  if (dtype != f32 && dtype != f64) fail("state '{}': initial values are f32 or f64, got {}", name, name_of(dtype));
  HostTensor out(dtype, shape);
  const uint64_t key = execute::stream_key(seed, execute::stream_of(("init/" + name).c_str()), 0);
  const int64_t count = out.count();
  std::vector<double> rotated;
  if (init.kind == Initialiser::Kind::rotation)
    rotated = rotation(static_cast<RotationPart>(init.a), name, shape, seed);
  for (int64_t e = 0; e < count; ++e) {
    double value = init.a;
    if (init.kind == Initialiser::Kind::rotation) {
      value = rotated[static_cast<size_t>(e)];
    } else if (init.kind != Initialiser::Kind::constant) {
      const uint32_t word = execute::random_word(key, static_cast<uint64_t>(e));
      value = init.kind == Initialiser::Kind::uniform ? init.a + (init.b - init.a) * execute::uniform_of(word)
                                                      : init.a + init.b * execute::normal_of(word);
    }
    if (dtype == f32) out.as<float>()[e] = static_cast<float>(value);
    if (dtype == f64) out.as<double>()[e] = value;
  }
  return out;
}

}  // namespace gmc
