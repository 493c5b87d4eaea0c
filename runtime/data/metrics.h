// How near one set of samples is to another, without a trained judge. Sets are f32 [N, ...], samples as flat vectors.
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/data/dataset.h"

namespace gmc::data {

// Unbiased squared maximum mean discrepancy (Gretton et al., "A kernel two-sample test", 2012, equation 3) with the
// mean of five Gaussian kernels, whose squared widths are 1/4, 1/2, 1, 2 and 4 times the median squared distance within
// `a` and `b` together. 0 in expectation for one distribution; may be negative. Throws `Error` unless both have at
// least 2 samples, of one size.
double mmd(const HostTensor& a, const HostTensor& b);

// Kynkaanniemi et al., "Improved precision and recall metric for assessing generative models", 2019, section 2: the
// share of generated samples within the k-th neighbour's distance of some real one, and the other way round; and Naeem
// et al., "Reliable fidelity and diversity metrics", 2020, section 2.3: density and coverage. Throws `Error` unless
// both have more than k samples, of one size.
struct Neighbours {
  double precision, recall, density, coverage;
};
Neighbours neighbours(const HostTensor& real, const HostTensor& generated, int64_t k = 5);

// Of points of a known mixture (Lin et al., "PacGAN", 2018, section 4.1): how many modes have a sample within three
// deviations, the share of samples that lie so near one, and the divergence of their counts from even ones, in nats.
struct Modes {
  int64_t found, all;
  double near, divergence;
};
Modes modes(const HostTensor& points, const Truth&);

}  // namespace gmc::data
