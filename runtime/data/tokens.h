// Data that are one long sequence, of symbols or of numbers.
#pragma once

#include "runtime/data/dataset.h"

namespace gmc::data {

// The first 90 % train, the rest validates. Inputs `ids` and `targets`, i64 [B, T], take windows: `targets` begins one
// symbol after `ids`. Throws `Error` if the vocabulary has fewer than 2 symbols. `source` names the data.
std::unique_ptr<Dataset> text_of(std::vector<int32_t> symbols, Vocabulary, const std::string& source);

// Numbers in [-1, 1]: an f32 input [B, ...] takes windows, `ids` and `targets` take them in the 256 levels of the
// mu-law with mu = 255 (ITU-T G.711 in continuous form).
std::unique_ptr<Dataset> signal_of(std::vector<float> values, const std::string& source);

// Reversal: `src` [B, T] of symbols uniform in 3..symbols + 2, `targets` its reversal, `ids` 1 followed by all but the
// last of `targets`; all i64. Made anew for every draw, by (seed, "data/train" or "data/validate", step).
std::unique_ptr<Dataset> reversal(int64_t symbols);

// `count` lines of text: two numbers below 1000 and their sum, whose digits stand in reverse, as `12+907=919` (Lee et
// al., "Teaching arithmetic to small transformers", 2023, section 3). Line i depends on i alone.
std::string arithmetic(int64_t count);

}  // namespace gmc::data
