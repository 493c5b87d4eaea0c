// How sequences are chosen from what a model says of the next symbol. All is in the graph: a sampler stays one loop.
#pragma once

#include "compiler/dsl/location.h"

#include <cstdint>
#include <string>

namespace gmc {

// What is done to scores before a symbol is drawn, in this order.
struct Sampling {
  double temperature = 1;  // scores are divided by it; 0: the likeliest symbol is taken, nothing is drawn
  int64_t top_k = 0;       // only so many of the likeliest symbols; 0: all (Fan et al. 2018, section 5.1)
  double top_p = 1;        // only the fewest likeliest whose probabilities reach this sum (Holtzman et al. 2020, 3.1)
};

// The next symbol of scores (logits) [.., c]: i64 [..]. `draw` is the name of the uniform draw [..] that decides: the
// symbol is where it falls among running sums of the probabilities, which are taken in the order of the symbols, or by
// falling probability with top_k or top_p. Of equal scores the first symbol's counts as higher. Throws `Error` unless
// temperature is 0 or at least 1e-6, top_k is in 0..c and top_p in (0, 1].
Tensor next_symbol(At scores, const Sampling& = {}, const std::string& draw = "u");

// One step of beam search for the likeliest sequence: the k likeliest of all continuations of k sequences whose
// log-probabilities are `scores` [k], by any of c symbols with log-probabilities `following` [k, c]. Best first, as
// they should be handed on; a sequence that is not there yet has a score of -infinity.
struct Beams {
  Tensor scores, parents, symbols;  // [k], and i64 [k]: which sequence goes on, and with what
};
Beams best_continuations(At scores, At following);

}  // namespace gmc
