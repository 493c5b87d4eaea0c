// Functions of the tensor language against float64 numbers of PyTorch, values and gradients; tools/peers/ops.py writes
// them.
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"
#include "models/gmc.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <map>

namespace gmc {
namespace {

using nlohmann::json;
using T = const std::vector<Tensor>&;
using Many = std::vector<Tensor>;
using Function = Many (*)(T);

const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> list{
      {"conv1d", [](T x) { return Many{conv(x[0], x[1], {.step = {2}, .padding = {2}, .dilation = {2}})}; }},
      {"conv2d", [](T x) { return Many{conv(x[0], x[1], x[2], {.step = {2, 1}, .padding = {1, 0}})}; }},
      {"conv2d_groups", [](T x) { return Many{conv(x[0], x[1], {.padding = {1}, .groups = 2})}; }},
      {"conv2d_same", [](T x) { return Many{conv(x[0], x[1], {.dilation = {1, 2}, .same = true})}; }},
      {"conv3d", [](T x) { return Many{conv(x[0], x[1], {.step = {2}, .padding = {1}})}; }},
      {"depthwise", [](T x) { return Many{conv(x[0], x[1], {.groups = 4})}; }},
      {"conv_transpose2d",
       [](T x) {
         return Many{conv_transpose(x[0], x[1], x[2], {.step = {2, 3}, .padding = {1}, .groups = 2}, {1, 2})};
       }},
      {"conv_transpose1d", [](T x) { return Many{conv_transpose(x[0], x[1], {.dilation = {3}})}; }},
      {"unfold", [](T x) { return Many{unfold(x[0], {2, 3}, {.step = {2}, .padding = {1}})}; }},
      {"fold", [](T x) { return Many{fold(x[0], {4, 5}, {2, 3}, {.step = {1, 2}})}; }},
      {"max_pool2d", [](T x) { return Many{max_pool(x[0], {3}, {.step = {2}, .padding = {1}})}; }},
      {"average_pool2d", [](T x) { return Many{average_pool(x[0], {3, 2}, {.step = {2, 1}, .padding = {1, 0}})}; }},
      {"average_pool2d_inside",
       [](T x) { return Many{average_pool(x[0], {3}, {.step = {2}, .padding = {1}}, false)}; }},
      {"adaptive_average_pool2d", [](T x) { return Many{adaptive_average_pool(x[0], {3, 4})}; }},
      {"adaptive_max_pool1d", [](T x) { return Many{adaptive_max_pool(x[0], {3})}; }},
      {"layer_norm", [](T x) { return Many{layer_norm(x[0], x[1], x[2], 1e-3)}; }},
      {"rms_norm", [](T x) { return Many{rms_norm(x[0], x[1], 1e-3)}; }},
      {"group_norm", [](T x) { return Many{group_norm(x[0], 2, x[1], x[2], 1e-3)}; }},
      {"instance_norm", [](T x) { return Many{instance_norm(x[0], 1e-3)}; }},
      {"batch_norm_training",
       [](T x) {
         const auto r = batch_norm_training(x[0], x[1], x[2], x[3], x[4], 0.1, 1e-3);
         return Many{r.y, r.mean, r.variance};
       }},
      {"batch_norm_inference", [](T x) { return Many{batch_norm_inference(x[0], x[1], x[2], x[3], abs(x[4]), 1e-3)}; }},
      {"weight_norm", [](T x) { return Many{weight_norm(x[0], x[1])}; }},
      {"spectral_norm",
       [](T x) {
         const auto [w, u] = spectral_norm(x[0], x[1]);
         return Many{w, u};
       }},
      {"local_response_norm", [](T x) { return Many{local_response_norm(x[0], 3, 0.5, 0.75, 2)}; }},
      {"attention", [](T x) { return Many{attention(x[0], x[1], x[2])}; }},
      {"attention_causal", [](T x) { return Many{attention(x[0], x[1], x[2], {.causal = true})}; }},
      {"attention_grouped", [](T x) { return Many{attention(x[0], x[1], x[2], x[3])}; }},
      {"lstm_cell",
       [](T x) {
         const auto [h, c] = lstm_cell(x[0], x[1], x[2], x[3], x[4], x[5], x[6]);
         return Many{h, c};
       }},
      {"gru_cell", [](T x) { return Many{gru_cell(x[0], x[1], x[2], x[3], x[4], x[5])}; }},
      {"cross_entropy", [](T x) { return Many{cross_entropy(x[0], x[1])}; }},
      {"cross_entropy_all",
       [](T x) {
         return Many{cross_entropy(x[0], x[1], stop_gradient(abs(x[2])), {.ignore_index = 1, .label_smoothing = 0.1})};
       }},
      {"nll", [](T x) { return Many{nll_loss(x[0], x[1], {.ignore_index = 2})}; }},
      {"mse", [](T x) { return Many{mse_loss(x[0], x[1])}; }},
      {"l1", [](T x) { return Many{l1_loss(x[0], x[1], Reduction::sum)}; }},
      {"huber", [](T x) { return Many{huber_loss(x[0], x[1], 0.5)}; }},
      {"smooth_l1", [](T x) { return Many{smooth_l1_loss(x[0], x[1], 0.5)}; }},
      {"bce", [](T x) { return Many{bce_loss(sigmoid(x[0]), sigmoid(x[1]))}; }},
      {"kl", [](T x) { return Many{kl_divergence_loss(x[0], exp(x[1]), Reduction::sum)}; }},
      {"gaussian_nll", [](T x) { return Many{gaussian_nll_loss(x[0], x[1], exp(x[2]))}; }},
      {"kl_normal", [](T x) { return Many{kl_normal(x[0], x[1], x[2], x[3])}; }},
      {"activations",
       [](T t) {
         const Tensor& x = t[0];
         return Many{stack({relu6(3 * x), hard_sigmoid(x), hard_swish(x), hard_tanh(x), elu(x, 0.7), celu(x, 0.5),
                            selu(x), mish(x), softsign(x), log_sigmoid(x), threshold(x, 0.5, 2), leaky_relu(x, 0.2)})};
       }},
      {"functions",
       [](T t) {
         const Tensor& x = t[0];
         return Many{stack({sin(x), cos(x), tan(x), asin(x / 8), acos(x / 8), atan(x), sinh(x), cosh(x), asinh(x),
                            acosh(abs(x) + 1.5), atanh(x / 8), exp2(x), log2(abs(x)), log10(abs(x)), erfinv(x / 8),
                            erfc(x), pow(abs(x), 1.7)})};
       }},
      {"binary",
       [](T t) {
         const Tensor &a = t[0], &b = t[1];
         return Many{stack({atan2(a, b), fmod(a, b), mod(a, b), log_add_exp(a, b), maximum(a, b), pow(abs(a), b)})};
       }},
      {"rounding",
       [](T t) {
         const Tensor& x = t[0];
         return Many{stack({floor(x), ceil(x), trunc(x), round(x), round(x * 2) / 2})};
       }},
      {"moments",
       [](T t) {
         const Tensor& x = t[0];
         const Axes over{0, 2};
         return Many{stack({mean(x, over), variance(x, over), standard_deviation(x, over), prod(x, over),
                            norm_l1(x, over), norm_l2(x, over), logsumexp(x, over)})};
       }},
      {"arguments",
       [](T x) {
         return Many{argmax(x[0], 1), argmin(x[0], 0), count_nonzero(x[0], {1}), any(greater(x[0], 1), {1}),
                     all(greater(x[0], -1), {1})};
       }},
      {"softmax2", [](T x) { return Many{softmax(x[0], Axes{1, 2})}; }},
      {"einsum", [](T x) { return Many{einsum("bij,kj,bk->ik", {x[0], x[1], x[2]})}; }},
      {"einsum_dots", [](T x) { return Many{einsum("...ij,kj", {x[0], x[1]})}; }},
      {"einsum_diagonal", [](T x) { return Many{einsum("iij->ji", {x[0]})}; }},
      {"matmuls",
       [](T x) {
         const Tensor &a = x[0], &b = x[1], &c = x[2];
         const Tensor first = select_index(b, 0, 0), rows = select_index(select_index(a, 0, 0), 0, 0);
         return Many{matmul(a, b), matmul(a, c), matmul(c, first), matmul(c, c), matmul(rows, c)};
       }},
      {"shapes",
       [](T x) {
         const Tensor &a = x[0], &b = x[1];
         return Many{concat({a, b, a}, 1), stack({a, a}, 1), flip(a, {1}), roll(a, 2, 1),
                     tile(a, {2, 3}),      repeat(a, 2, 1),  tril(a, 1),   triu(a, -1)};
       }},
      {"pads",
       [](T x) {
         return Many{extend(x[0], {0, 0, 1}, {0, 0, 2}, "reflect"), extend(x[0], {0, 0, 2}, {0, 0, 1}, "edge"),
                     extend(x[0], {0, 0, 3}, {0, 0, 2}, "circular"), pad(x[0], {0, 0, -1}, {0, 0, 2}, 1.5)};
       }},
      {"take", [](T x) { return Many{embedding(x[1], x[0]), take(x[0], slice(flatten(x[1]), 0, 0, 2), 1)}; }},
      {"take_along",
       [](T x) {
         const Tensor zeros = full({4, 5}, 0);
         return Many{take_along_axis(x[0], x[1], 1), put_along_axis(zeros, x[1], slice(x[0], 1, 0, 3), 1, "add")};
       }},
      {"index_add", [](T x) { return Many{index_add(x[0], x[1], x[2])}; }},
      {"pixel_shuffle", [](T x) { return Many{pixel_shuffle(x[0], 2), pixel_unshuffle(pixel_shuffle(x[0], 2), 2)}; }},
      {"resize_nearest", [](T x) { return Many{resize(x[0], {7, 12})}; }},
      {"resize_exact", [](T x) { return Many{resize(x[0], {7, 4}, "nearest", "half_pixel")}; }},
      {"resize_bilinear", [](T x) { return Many{resize(x[0], {7, 4}, "linear", "half_pixel")}; }},
      {"resize_corners", [](T x) { return Many{resize(x[0], {3, 9}, "linear", "align_corners")}; }},
      {"inverse_cdf", [](T x) { return Many{inverse_cdf(softmax(x[0]), sigmoid(x[1]))}; }}};
  return list;
}

graph::Reference tensor_of(const json& value) {
  return {value.at("shape").get<Shape>(), value.at("values").get<std::vector<double>>()};
}

const json& cases() {
  static const json* all = [] {
    std::ifstream file(GMC_SOURCE_DIR "/tests/ops/peers.json");
    return new json(json::parse(file).at("cases"));
  }();
  return *all;
}

void expect_equal(const graph::Reference& got, const graph::Reference& want, const std::string& what) {
  ASSERT_EQ(got.shape, want.shape) << what;
  for (size_t e = 0; e < want.values.size(); ++e)
    ASSERT_NEAR(got.values[e], want.values[e], 1e-10 * (1 + std::fabs(want.values[e]))) << what << " element " << e;
}

class Peer : public testing::TestWithParam<size_t> {};

TEST_P(Peer, gives_the_same_values_and_gradients) {
  const json& one = cases()[GetParam()];
  const auto found = functions().find(one.at("name"));
  ASSERT_NE(found, functions().end()) << one.at("name");
  std::map<std::string, graph::Reference> inputs;
  Program p;
  size_t outputs = 0, gradients_count = 0;
  p.entry("peer", [&] {
    Many x, floating;
    for (const json& value : one.at("inputs")) {
      const std::string name = "x" + std::to_string(x.size());
      inputs[name] = tensor_of(value);
      x.push_back(input(name, *dtype_named(value.at("dtype").get<std::string>()), inputs[name].shape));
      if (x.back().dtype() == f32) floating.push_back(x.back());
    }
    const Many y = found->second(x);
    for (const Tensor& t : y) output("y" + std::to_string(outputs++), t);
    if (one.at("gradients").empty()) return;
    Tensor weights = arange(element_count(y[0].shape()), 1, 1, f32);
    for (const Tensor& t : gradients(sum(y[0] * reshape(weights, y[0].shape())), floating))
      output("d" + std::to_string(gradients_count++), t);
  });
  const graph::Graph& captured = *p.entry_named("peer").graph;
  for (const graph::Graph& g : {captured, transform::run_pipeline(captured)}) {
    const auto got = graph::interpret(g, inputs).outputs;
    ASSERT_EQ(outputs, one.at("outputs").size());
    for (size_t i = 0; i < outputs; ++i)
      expect_equal(got.at("y" + std::to_string(i)), tensor_of(one.at("outputs")[i]), "output " + std::to_string(i));
    for (size_t i = 0; i < gradients_count; ++i)
      expect_equal(got.at("d" + std::to_string(i)), tensor_of(one.at("gradients")[i]), "gradient " + std::to_string(i));
  }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, Peer, testing::Range<size_t>(0, cases().size()),
                         [](const auto& kind) { return cases()[kind.param].at("name").template get<std::string>(); });

TEST(Peers, all_functions_are_tried) { EXPECT_EQ(cases().size(), functions().size()); }

}  // namespace
}  // namespace gmc
