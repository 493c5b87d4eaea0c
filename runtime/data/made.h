// Samples that are made on the spot. Sample i depends on i alone.
#pragma once

#include "runtime/data/samples.h"

namespace gmc::data {

// f32 [count, 2]:
//   gaussians8    equal normal distributions on a circle (Grathwohl et al., FFJORD, 2019, section 4.1): radius
//                 4 / sqrt 2, deviation .5 / sqrt 2
//   gaussians25   on a grid of 5 x 5 (Gulrajani et al., WGAN-GP, 2017, section 3): -sqrt 2 .. sqrt 2, deviation
//                 .05 / (2 sqrt 2)
//   moons         two half circles of radius 1, noise of deviation .1, moved to the middle
//   swissroll     a spiral of one and a half turns with noise, within about 3
//   pinwheel      five bent arms (Johnson et al. 2016): radial deviation .3, tangential .05, rate .25, times 2
//   checkerboard  uniform on 8 of the 16 squares with side 2 of [-4, 4] x [-4, 4]
// Labels: the mode, moon or arm. Throws `Error` for another name.
Array made_points(const std::string& name, int64_t count);

// u8 [count, 32, 32]: a square, an ellipse or a triangle (the label), filled, with its own size, turn and place.
Array made_shapes(int64_t count);

// f32 [count, 24, 5] in [0, 1]: per channel (1 + sin(2 pi (f t + p))) / 2 with f = uniform(0, 1) / 2 pi per step and
// p = uniform(0, 1) / 2 pi (Yoon et al., "Time-series generative adversarial networks", 2019, section 5).
Array made_sines(int64_t count);

}  // namespace gmc::data
