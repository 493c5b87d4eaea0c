// Functions that layers are made of: convolution, pooling, norms, attention, cells, losses, draws. Images and sequences
// are [n, channels, spatial..].
#pragma once

#include "compiler/dsl/callback.h"
#include "compiler/dsl/location.h"

#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace gmc {

// ---- convolution: weight [out, in / groups, kernel..] ----

// Per spatial dimension; one number stands for all.
struct ConvOptions {
  std::vector<int64_t> step = {1}, padding = {0}, dilation = {1};
  int64_t groups = 1;
  std::vector<int64_t> padding_after = {};  // `padding` if empty
  bool same = false;                        // zeros so that ceil(extent / step) places result, the odd one behind
};
// [n, out, places..]; bias [out]. Of an image that nearest resizing has just enlarged by two it takes 4 products where
// a kernel of 3 x 3 has 9 (ops/convolution_of_repeated.cpp).
Tensor conv(At x, At weight, const ConvOptions& = {});
Tensor conv(At x, At weight, At bias, const ConvOptions& = {});
// The gradient of conv's x as a layer: weight [in, out / groups, kernel..]. `extra` elements, fewer than the step, are
// added behind (output_padding).
Tensor conv_transpose(At x, At weight, const ConvOptions& = {}, const std::vector<int64_t>& extra = {0});
Tensor conv_transpose(At x, At weight, At bias, const ConvOptions& = {}, const std::vector<int64_t>& extra = {0});
// One dimension, each place seeing itself and those before.
Tensor causal_conv(At x, At weight, int64_t dilation = 1);
// The weight [out, in, kernel..] with 0 for what comes after the kernel's centre in row-major order, and for the centre
// itself if `strict` (types B and A of van den Oord et al. 2016).
Tensor causal_mask(At weight, bool strict);
// Windows as columns [n, c * kernel, places], and columns added up.
Tensor unfold(At x, const std::vector<int64_t>& kernel, const ConvOptions& = {});
Tensor fold(At columns, const std::vector<int64_t>& extents, const std::vector<int64_t>& kernel,
            const ConvOptions& = {});

// ---- pooling ----

// `step` of `options` is the kernel's size unless given; padding is -infinity, or counted as 0 by the mean.
Tensor max_pool(At x, const std::vector<int64_t>& kernel, const ConvOptions& = {.step = {}});
Tensor average_pool(At x, const std::vector<int64_t>& kernel, const ConvOptions& = {.step = {}},
                    bool count_padding = true);
// To `size` places; global: to none.
Tensor adaptive_max_pool(At x, const std::vector<int64_t>& size);
Tensor adaptive_average_pool(At x, const std::vector<int64_t>& size);
Tensor global_max_pool(At x);
Tensor global_average_pool(At x);

// ---- norms ----

// Over the last dimensions, as many as the weight has; without one, over the last.
Tensor layer_norm(At x, double epsilon = 1e-5);
Tensor layer_norm(At x, At weight, At bias, double epsilon = 1e-5);
Tensor rms_norm(At x, double epsilon = 1e-6);
Tensor rms_norm(At x, At weight, double epsilon = 1e-6);
// Weight and bias per channel.
Tensor group_norm(At x, int64_t groups, double epsilon = 1e-5);
Tensor group_norm(At x, int64_t groups, At weight, At bias, double epsilon = 1e-5);
Tensor instance_norm(At x, double epsilon = 1e-5);
Tensor instance_norm(At x, At weight, At bias, double epsilon = 1e-5);
struct BatchNormResult {
  Tensor y, mean, variance;  // and the running statistics after this batch
};
BatchNormResult batch_norm_training(At x, At weight, At bias, At running_mean, At running_variance,
                                    double momentum = 0.1, double epsilon = 1e-5);
Tensor batch_norm_inference(At x, At weight, At bias, At mean, At variance, double epsilon = 1e-5);
// v g / |v|, the norm over all dimensions but `axis`; g [extent of axis].
Tensor weight_norm(At v, At g, int64_t axis = 0);
// Weight [out, ..] over its largest singular value, found by steps of the power method from u [out] (Miyato et al.
// 2018), through which no gradient flows; and the next u.
std::pair<Tensor, Tensor> spectral_norm(At weight, At u, int64_t steps = 1, double epsilon = 1e-12);
// Over `size` channels, (size - 1) / 2 of them before, as in ONNX; PyTorch takes size / 2 before, which is another
// window where `size` is even.
Tensor local_response_norm(At x, int64_t size, double alpha = 1e-4, double beta = 0.75, double k = 1);

// ---- attention: [b, heads, places, d] ----

struct AttentionOptions {
  bool causal = false;
  double scale = 0;  // 0: 1 / sqrt(d)
};
// Heads of k and v divide those of q. Mask: bool (true: may attend) or added; broadcasts to [b, heads, t, s].
Tensor attention(At q, At k, At v, const AttentionOptions& = {});
Tensor attention(At q, At k, At v, At mask, const AttentionOptions& = {});
// Rotary positions of x [.., t, d]: angle (first + place) base^(-2 i / d) for pair i; or given cosines and sines [t, d
// / 2].
Tensor rotary(At x, double base = 10000, int64_t first = 0, bool interleaved = false);
Tensor rotary(At x, At cosines, At sines, bool interleaved = false);

// ---- one step of recurrent layers, with PyTorch's weights and order of gates ----

Tensor rnn_cell(At x, At h, At w_ih, At w_hh, At b_ih, At b_hh, bool relu = false);
Tensor gru_cell(At x, At h, At w_ih, At w_hh, At b_ih, At b_hh);
// h', c'
std::pair<Tensor, Tensor> lstm_cell(At x, At h, At c, At w_ih, At w_hh, At b_ih, At b_hh);

// ---- losses ----

enum class Reduction { none, mean, sum };
Tensor mse_loss(At, At, Reduction = Reduction::mean);
Tensor l1_loss(At, At, Reduction = Reduction::mean);
Tensor huber_loss(At, At, double delta = 1, Reduction = Reduction::mean);
Tensor smooth_l1_loss(At, At, double beta = 1, Reduction = Reduction::mean);  // huber / beta
Tensor bce_loss(At probabilities, At targets, Reduction = Reduction::mean);
Tensor bce_with_logits_loss(At logits, At targets, Reduction = Reduction::mean);
Tensor hinge_loss(At scores, At targets, Reduction = Reduction::mean);  // targets -1 or 1
Tensor gaussian_nll_loss(At mean, At targets, At variance, double epsilon = 1e-6, Reduction = Reduction::mean);
// t (log t - x) of log-probabilities x.
Tensor kl_divergence_loss(At log_probabilities, At targets, Reduction = Reduction::mean);
// Of N(mean, e^log_variance) to N(0, 1), or to another; per element.
Tensor kl_standard_normal(At mean, At log_variance);
Tensor kl_normal(At mean, At log_variance, At other_mean, At other_log_variance);
struct ClassOptions {
  int64_t ignore_index = -100;
  double label_smoothing = 0;
  Reduction reduction = Reduction::mean;  // a mean is over the weights of what is not ignored
};
// Scores (logits; for nll_loss log-probabilities) [n, c, ..], class indices [n, ..], weights [c].
Tensor cross_entropy(At scores, At classes, const ClassOptions& = {});
Tensor cross_entropy(At scores, At classes, At weights, const ClassOptions& = {});
Tensor nll_loss(At scores, At classes, const ClassOptions& = {});

// ---- draws; names as those of normal and uniform ----

// 0 or 1 with probability p of 1.
Tensor bernoulli(const std::string& name, At p);
// Class indices [..] of logits [.., c]: where the perturbed logits are largest (Gumbel).
Tensor categorical(const std::string& name, At logits);
// How many running sums of probabilities [.., c] are below u [..], at most c - 1: the class at u. i64.
Tensor inverse_cdf(At probabilities, At u);
// -log(-log u)
Tensor gumbel(const std::string& name, const Shape&, std::source_location where = std::source_location::current());
Tensor logistic(const std::string& name, const Shape&, std::source_location where = std::source_location::current());
// Normal, mean 0 and deviation 1, conditioned on [low, high].
Tensor truncated_normal(const std::string& name, const Shape&, double low = -2, double high = 2,
                        std::source_location where = std::source_location::current());
// Normal; fed from outside, the numbers of this mean and deviation are fed.
Tensor normal(const std::string& name, const Shape&, double mean, double deviation,
              std::source_location where = std::source_location::current());
// i64, low..high - 1.
Tensor randint(const std::string& name, const Shape&, int64_t low, int64_t high,
               std::source_location where = std::source_location::current());
// i64 [n]: 0..n - 1 in an order that the draw decides.
Tensor permutation(const std::string& name, int64_t n, std::source_location where = std::source_location::current());
// Elements are dropped with probability `rate`, the others divided by 1 - rate. Not training: x.
Tensor dropout(const std::string& name, At x, double rate, bool training = true);
// softmax((logits + gumbel) / temperature) along the last axis; `hard`: one-hot, with the gradient of the soft one.
Tensor gumbel_softmax(const std::string& name, At logits, double temperature = 1, bool hard = false);
// The first operand's value, with the gradient going to the second.
Tensor straight_through(At value, At gradient_to);
// `y` as a function of `x` with the gradient that `vjp` builds from the gradient of y (one tensor per x).
Tensor custom_gradient(At y, const std::vector<Tensor>& x, const Callback<std::vector<Tensor>(Tensor)>& vjp);

}  // namespace gmc
