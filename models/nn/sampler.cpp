#include "models/nn/sampler.h"

#include "compiler/dsl/program.h"
#include "ops/ops.h"

#include <fmt/format.h>

namespace gmc {
namespace {

void check(const At& scores, const Sampling& s) {
  if (scores.rank() < 1) fail_at(scores, "next_symbol: expected scores [.., symbols], got a scalar");
  const int64_t c = scores.dim(-1);
  if (!(s.temperature == 0 || s.temperature >= 1e-6))
    fail_at(scores, fmt::format("next_symbol: temperature must be 0 or at least 1e-6, got {}", s.temperature));
  if (s.top_k < 0 || s.top_k > c)
    fail_at(scores, fmt::format("next_symbol: top_k must be in 0..{}, got {}", c, s.top_k));
  if (!(s.top_p > 0 && s.top_p <= 1))
    fail_at(scores, fmt::format("next_symbol: top_p must be in (0, 1], got {}", s.top_p));
}

}  // namespace

Tensor next_symbol(At scores, const Sampling& s, const std::string& draw) {
  const CalledFrom here(scores);
  check(scores, s);
  if (s.temperature == 0 || s.top_k == 1) return argmax(scores);
  Shape rest = scores.shape();
  rest.pop_back();
  const Tensor warm = s.temperature == 1 ? Tensor(scores) : scores / s.temperature;
  const Tensor u = uniform(draw, rest, scores.where());
  if (s.top_k == 0 && s.top_p == 1) return inverse_cdf(softmax(warm), u);

  const Ordered best = s.top_k > 0 ? top_k(warm, s.top_k) : sort(warm, -1, true);
  Tensor p = softmax(best.values), place;
  if (s.top_p == 1) {
    place = inverse_cdf(p, u);
  } else {
    const Tensor kept = less(cumsum(p, -1, true), s.top_p);  // what is likelier has not reached the sum
    p = select(kept, p, 0);
    // Rounding may leave the last running sum below u: no reason to take what was left out.
    place = minimum(inverse_cdf(p / sum(p, {-1}, true), u), sum(cast(kept, i64), {-1}) - 1);
  }
  return squeeze(take_along_axis(best.indices, expand_dims(place, -1), -1), {-1});
}

Beams best_continuations(At scores, At following) {
  const CalledFrom here(scores);
  if (scores.rank() != 1 || following.rank() != 2 || following.dim(0) != scores.dim(0) || following.dim(1) < 1)
    fail_at(scores, fmt::format("best_continuations: expected scores [k] and log-probabilities [k, c], got {} and {}",
                                to_string(scores.shape()), to_string(following.shape())));
  const int64_t k = scores.dim(0), c = following.dim(1);
  const Ordered best = top_k(reshape(expand_dims(scores, -1) + following, {k * c}), k);
  return {best.values, floor_divide(best.indices, c), mod(best.indices, c)};
}

}  // namespace gmc
