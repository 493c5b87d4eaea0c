// Operators that Debian's test data does not have, against values worked out by hand; what they refuse.
#include "tests/onnx/wire.h"

#include "tools/onnx/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

namespace gmc::test {
namespace {

using testing::HasSubstr;
using namespace wire;

struct Tensor {
  Shape shape;
  std::vector<double> values;
  DType dtype = f32;
};
using Operand = std::optional<Tensor>;
const Operand absent;

// One node, with outputs y0, y1, ...
struct Node {
  std::string op, attributes;
  std::vector<Operand> inputs;
  size_t outputs = 1;
  uint64_t opset = 28;
  std::string domain = "";

  std::string file() const {
    std::string body = bytes(4, op) + bytes(3, "n") + bytes(7, domain) + attributes, graph = bytes(2, "g");
    for (size_t i = 0; i < inputs.size(); ++i) {
      body += bytes(1, inputs[i] ? fmt::format("x{}", i) : "");
      if (!inputs[i]) continue;
      const std::vector<uint64_t> extents(inputs[i]->shape.begin(), inputs[i]->shape.end());
      graph +=
          bytes(11, value(fmt::format("x{}", i), extents, static_cast<uint64_t>(onnx::element_of(inputs[i]->dtype))));
    }
    for (size_t i = 0; i < outputs; ++i) {
      body += bytes(2, fmt::format("y{}", i));
      graph += bytes(12, value(fmt::format("y{}", i), {}));
    }
    const std::string own = domain.empty() ? "" : bytes(8, bytes(1, "") + number(2, 28));
    return model(bytes(1, body) + graph, opset, domain) + own;
  }
};

// Interpreted, and compiled.
std::vector<TensorMap> run(const Node& n) {
  const onnx::Model m = read(n.file());
  const onnx::Imported imported = onnx::import_model(m);
  TensorMap inputs;
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (n.inputs[i])
      inputs[fmt::format("x{}", i)] = onnx::host_tensor(n.inputs[i]->dtype, n.inputs[i]->shape, n.inputs[i]->values);
  package::Options options;
  options.target = codegen::target_named("native");
  options.jobs = 1;
  return {onnx::run_interpreted(imported, inputs), onnx::run_compiled(imported, inputs, options, {1, false})};
}

void expect(const Node& n, const std::vector<Tensor>& expected) {
  for (const TensorMap& got : run(n))
    for (size_t i = 0; i < expected.size(); ++i) {
      const HostTensor& y = got.at(fmt::format("y{}", i));
      EXPECT_EQ(y.dtype, expected[i].dtype);
      EXPECT_EQ(y.shape, expected[i].shape);
      EXPECT_THAT(onnx::numbers_of(y), testing::Pointwise(testing::DoubleNear(2e-6), expected[i].values))
          << n.op << " output " << i;
    }
}

std::string refusal(const Node& n) {
  try {
    onnx::import_model(read(n.file()));
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

const double ln3 = std::log(3.0);

// Queries of 0 weigh all keys that they may attend to alike: the result is the mean of their values.
TEST(OnnxAttention, CausalWithPastAndGroups) {
  // Four heads of queries, two of keys: heads 0 and 1 share the first.
  const Operand q = Tensor{{1, 4, 2, 1}, std::vector<double>(8, 0)};
  const Operand k = Tensor{{1, 2, 2, 1}, {1, 2, 3, 4}}, v = Tensor{{1, 2, 2, 1}, {2, 6, 20, 60}};
  const Operand past_k = Tensor{{1, 2, 1, 1}, {9, 8}}, past_v = Tensor{{1, 2, 1, 1}, {1, 10}};
  expect({"Attention", attribute("is_causal", int64_t{1}), {q, k, v, absent, past_k, past_v}, 3},
         {{{1, 4, 2, 1}, {1.5, 3, 1.5, 3, 15, 30, 15, 30}},
          {{1, 2, 3, 1}, {9, 1, 2, 8, 3, 4}},
          {{1, 2, 3, 1}, {1, 2, 6, 10, 20, 60}}});
}

TEST(OnnxAttention, PackedHeadsScaleAndSoftmax) {
  // Two heads of one number each; scores 4 * 1/4 * {0, ln 3} weigh 1 : 3.
  const Operand q = Tensor{{1, 1, 2}, {0.25, 0}}, k = Tensor{{1, 2, 2}, {0, 5, ln3, 7}},
                v = Tensor{{1, 2, 2}, {4, 1, 8, 3}};
  const std::string heads = attribute("q_num_heads", int64_t{2}) + attribute("kv_num_heads", int64_t{2});
  expect({"Attention", heads + attribute("scale", 4.0f), {q, k, v}}, {{{1, 1, 2}, {7, 2}}});
}

TEST(OnnxAttention, MasksSoftcapAndWhatItShowsOfScores) {
  const Operand q = Tensor{{1, 1, 2, 1}, {1, 1}}, k = Tensor{{1, 1, 3, 1}, {2, 0, 2}},
                v = Tensor{{1, 1, 3, 1}, {1, 2, 3}};
  const double capped = 4 * std::tanh(0.5), inf = INFINITY;
  const std::string cap = attribute("softcap", 4.0f);
  const auto with = [&](int64_t mode, const Operand& mask) {
    return Node{"Attention", cap + attribute("qk_matmul_output_mode", mode), {q, k, v, mask}, 4};
  };
  // The short mask lets nobody attend to the last key; the second query may attend to nothing and gets 0.
  const Operand mask = Tensor{{2, 2}, {0, 1, 0, 0}, boolean};
  const Tensor y{{1, 1, 2, 1}, {2, 0}}, keys = *k, values = *v;
  const Shape s{1, 1, 2, 3};
  expect(with(0, mask), {y, keys, values, {s, {2, 0, 2, 2, 0, 2}}});
  expect(with(1, mask), {y, keys, values, {s, {capped, 0, capped, capped, 0, capped}}});
  expect(with(3, mask), {y, keys, values, {s, {0, 1, 0, 0, 0, 0}}});
  // Added: ln 3 more for the second key, nothing of the first.
  const Operand added = Tensor{{3}, {-inf, ln3 + capped, 0}};
  expect(with(3, added), {{{1, 1, 2, 1}, {2.25, 2.25}}, keys, values, {s, {0, 0.75, 0.25, 0, 0.75, 0.25}}});
}

TEST(OnnxAttention, KeysFilledFromOutsideAndWindows) {
  const Operand q = Tensor{{2, 1, 2, 1}, {0, 0, 0, 0}}, k = Tensor{{2, 1, 4, 1}, std::vector<double>(8, 1)},
                v = Tensor{{2, 1, 4, 1}, {1, 2, 3, 4, 10, 20, 30, 40}};
  // The first sample has one key: its first query stands before all keys.
  const Operand filled = Tensor{{2}, {1, 4}, i64};
  expect({"Attention", attribute("is_causal", int64_t{1}), {q, k, v, absent, absent, absent, filled}},
         {{{2, 1, 2, 1}, {0, 1, 20, 25}}});
  expect({"Attention",
          attribute("left_window_size", int64_t{1}) + attribute("right_window_size", int64_t{0}),
          {q, k, v, absent, absent, absent, filled}},
         {{{2, 1, 2, 1}, {0, 1, 25, 35}}});
}

TEST(OnnxAttention, Refusals) {
  const Operand q = Tensor{{1, 2, 1, 1}, {0, 0}}, k = Tensor{{1, 1, 1, 1}, {0}};
  const auto with = [&](const std::string& attributes) { return refusal({"Attention", attributes, {q, k, k}}); };
  EXPECT_EQ(with(""), "accepted");
  EXPECT_EQ(with(attribute("softmax_precision", int64_t{7})),
            "node 'n' (Attention): attribute 'softmax_precision' is 7, no floating type");
  EXPECT_EQ(with(attribute("qk_matmul_output_mode", int64_t{4})),
            "node 'n' (Attention): attribute 'qk_matmul_output_mode' is 4");
  EXPECT_EQ(with(attribute("left_window_size", int64_t{-2})),
            "node 'n' (Attention): a window of -2 to the left and -1 to the right");
  EXPECT_EQ(refusal({"Attention", "", {q, k, k, absent, k}}),
            "node 'n' (Attention): past keys and past values are given together");
  EXPECT_EQ(refusal({"Attention", "", {k, q, k}}),
            "node 'n' (Attention): keys [1, 2, 1, 1] and values [1, 1, 1, 1] do not fit");
  EXPECT_EQ(refusal({"Attention", "", {q, k, k, Tensor{{3, 1}, {0, 0, 0}}}}),
            "node 'n' (Attention): a mask [3, 1] for scores [1, 2, 1, 1]");
  EXPECT_THAT(
      refusal({"Attention", "", {Tensor{{1, 1, 2}, {0, 0}}, Tensor{{1, 1, 2}, {0, 0}}, Tensor{{1, 1, 2}, {0, 0}}}}),
      HasSubstr("attribute 'q_num_heads' is missing"));
}

TEST(OnnxFlexAttention, GraphsChangeScoresAndWeights) {
  const Operand q = Tensor{{1, 1, 1, 1}, {1}}, k = Tensor{{1, 1, 2, 1}, {0, ln3}}, v = Tensor{{1, 1, 2, 1}, {4, 8}};
  const auto with = [&](const std::string& attributes) {
    return Node{"FlexAttention", attributes, {q, k, v}, 1, 1, "ai.onnx.preview"};
  };
  const auto graph = [](const char* name, const char* op) {
    return graph_attribute(name, bytes(1, wire::node(op, {"s"}, "r")) + bytes(2, "g") + bytes(11, value("s", {})) +
                                     bytes(12, value("r", {})));
  };
  expect(with(""), {{{1, 1, 1, 1}, {7}}});
  expect(with(attribute("scale", 0.0f)), {{{1, 1, 1, 1}, {6}}});
  expect(with(graph("score_mod", "Neg")), {{{1, 1, 1, 1}, {5}}});
  expect(with(graph("prob_mod", "Neg")), {{{1, 1, 1, 1}, {-7}}});
  EXPECT_EQ(refusal(with(graph("score_mod", "Shape"))),
            "node 'n' (FlexAttention): attribute 'score_mod' does not give one f32[1,1,1,2]");
  EXPECT_EQ(refusal(with(attribute("prob_mod", int64_t{1}))),
            "node 'n' (FlexAttention): attribute 'prob_mod' is an int, expected a graph");
}

TEST(OnnxRotaryEmbedding, TurnsPairs) {
  const Operand x = Tensor{{1, 1, 1, 4}, {1, 2, 3, 4}}, cosine = Tensor{{1, 1, 2}, {0, 1}},
                sine = Tensor{{1, 1, 2}, {1, 0}};
  expect({"RotaryEmbedding", "", {x, cosine, sine}}, {{{1, 1, 1, 4}, {-3, 2, 1, 4}}});
  expect({"RotaryEmbedding", attribute("interleaved", int64_t{1}), {x, cosine, sine}}, {{{1, 1, 1, 4}, {-2, 1, 3, 4}}});
  // Two heads side by side, the first two numbers of each; angles by place.
  const Operand packed = Tensor{{1, 2, 6}, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}}, c = Tensor{{2, 1}, {1, 0}},
                s = Tensor{{2, 1}, {0, 1}}, at = Tensor{{1, 2}, {1, 0}, i64};
  const std::string part = attribute("num_heads", int64_t{2}) + attribute("rotary_embedding_dim", int64_t{2});
  expect({"RotaryEmbedding", part, {packed, c, s, at}}, {{{1, 2, 6}, {-2, 1, 3, -5, 4, 6, 1, 2, 3, 4, 5, 6}}});
  EXPECT_EQ(refusal({"RotaryEmbedding", attribute("rotary_embedding_dim", int64_t{3}), {x, cosine, sine}}),
            "node 'n' (RotaryEmbedding): attribute 'rotary_embedding_dim' is 3 for heads of 4");
  EXPECT_EQ(refusal({"RotaryEmbedding", attribute("num_heads", int64_t{4}), {packed, c, s, at}}),
            "node 'n' (RotaryEmbedding): attribute 'num_heads' is 4 for [1, 2, 6]");
  EXPECT_EQ(refusal({"RotaryEmbedding", attribute("rotary_embedding_dim", int64_t{2}), {x, cosine, sine}}),
            "node 'n' (RotaryEmbedding): angles [1, 1, 2], expected [1, 1, 1]");
}

TEST(OnnxState, TensorScatterWritesBehindWhatIsThere) {
  const Operand cache = Tensor{{2, 3, 1}, {1, 2, 3, 4, 5, 6}}, update = Tensor{{2, 2, 1}, {10, 20, 30, 40}};
  const Operand at = Tensor{{2}, {2, 1}, i64};
  expect({"TensorScatter", "", {cache, update}}, {{{2, 3, 1}, {10, 20, 3, 30, 40, 6}}});
  expect({"TensorScatter", attribute("mode", "circular"), {cache, update, at}}, {{{2, 3, 1}, {20, 2, 10, 4, 30, 40}}});
  EXPECT_EQ(refusal({"TensorScatter", attribute("mode", "square"), {cache, update, at}}),
            "node 'n' (TensorScatter): attribute 'mode' is neither linear nor circular");
  EXPECT_EQ(refusal({"TensorScatter", attribute("axis", int64_t{0}), {cache, update}}),
            "node 'n' (TensorScatter): axis 0 is that of the batch");
  EXPECT_EQ(refusal({"TensorScatter", "", {update, cache}}),
            "node 'n' (TensorScatter): an update [2, 3, 1] of [2, 2, 1]");
}

TEST(OnnxState, CausalConvolutionGoesOnFromItsState) {
  const Operand x = Tensor{{1, 1, 3}, {1, 2, 3}}, w = Tensor{{1, 1, 2}, {10, 1}}, bias = Tensor{{1}, {100}},
                past = Tensor{{1, 1, 1}, {5}};
  expect({"CausalConvWithState", "", {x, w}, 2}, {{{1, 1, 3}, {1, 12, 23}}, {{1, 1, 1}, {3}}});
  expect({"CausalConvWithState", "", {x, w, bias, past}, 2}, {{{1, 1, 3}, {151, 112, 123}}, {{1, 1, 1}, {3}}});
  // Fewer places than the filter has: part of the state stays. silu(-ln 3) = -ln 3 / 4.
  const Operand low = Tensor{{1, 1, 1}, {-ln3}}, wide = Tensor{{1, 1, 3}, {0, 0, 1}};
  expect({"CausalConvWithState", attribute("activation", "silu"), {low, wide}, 2},
         {{{1, 1, 1}, {-ln3 / 4}}, {{1, 1, 2}, {0, -ln3}}});
  EXPECT_EQ(refusal({"CausalConvWithState", attribute("activation", "relu"), {x, w}, 2}),
            "node 'n' (CausalConvWithState): attribute 'activation': there is no 'relu'");
  EXPECT_EQ(refusal({"CausalConvWithState", "", {x, w, absent, x}, 2}),
            "node 'n' (CausalConvWithState): a state [1, 1, 3] for [1, 1, 3] and weights [1, 1, 2]");
}

TEST(OnnxState, LinearAttentionFollowsItsRule) {
  const Operand q = Tensor{{1, 2, 1}, {1, 1}}, k = Tensor{{1, 2, 1}, {2, 3}}, v = Tensor{{1, 2, 1}, {1, 1}},
                past = Tensor{{1, 1, 1, 1}, {4}}, decay = Tensor{{1, 2, 1}, {std::log(0.5), std::log(0.5)}},
                rate = Tensor{{1, 2, 1}, {0.5, 0.5}};
  const std::string heads = attribute("q_num_heads", int64_t{1}) + attribute("kv_num_heads", int64_t{1});
  const auto with = [&](const char* rule, std::vector<Operand> inputs) {
    return Node{"LinearAttention", heads + attribute("update_rule", rule), std::move(inputs), 2};
  };
  const auto states = [](double first, double last) {
    return std::vector<Tensor>{{{1, 2, 1}, {first, last}}, {{1, 1, 1, 1}, {last}}};
  };
  expect(with("linear", {q, k, v}), states(2, 5));
  expect(with("gated", {q, k, v, past, decay}), states(4, 5));
  expect(with("delta", {q, k, v, absent, absent, rate}), states(1, -2));
  expect(with("gated_delta", {q, k, v, past, decay, rate}), states(-1, 3.25));
  EXPECT_EQ(refusal(with("gated", {q, k, v})), "node 'n' (LinearAttention): rule 'gated' needs a decay");
  EXPECT_EQ(refusal(with("linear", {q, k, v, absent, absent, rate})),
            "node 'n' (LinearAttention): rule 'linear' does not take a rate");
  EXPECT_EQ(refusal(with("cubic", {q, k, v})),
            "node 'n' (LinearAttention): attribute 'update_rule': there is no 'cubic'");
  EXPECT_THAT(refusal({"LinearAttention", attribute("q_num_heads", int64_t{1}), {q, k, v}, 2}),
              HasSubstr("attribute 'kv_num_heads' is missing"));
}

TEST(OnnxState, LinearAttentionSharesStatesAmongQueries) {
  // Two heads of queries read one state of 2 x 1, scaled.
  const Operand q = Tensor{{1, 1, 4}, {1, 0, 0, 1}}, k = Tensor{{1, 1, 2}, {2, 3}}, v = Tensor{{1, 1, 1}, {5}};
  expect({"LinearAttention",
          attribute("q_num_heads", int64_t{2}) + attribute("kv_num_heads", int64_t{1}) +
              attribute("update_rule", "linear") + attribute("scale", 0.5f),
          {q, k, v},
          2},
         {{{1, 1, 2}, {5, 7.5}}, {{1, 1, 2, 1}, {10, 15}}});
}

TEST(OnnxDeformConv, ReadsBetweenElements) {
  const Operand x = Tensor{{1, 1, 2, 2}, {0, 1, 2, 3}}, w = Tensor{{1, 1, 1, 1}, {2}};
  // Half a row further down; below the last row there are zeros.
  const Operand offsets = Tensor{{1, 2, 2, 2}, {0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0}}, bias = Tensor{{1}, {1}},
                factors = Tensor{{1, 1, 2, 2}, {1, 1, 1, 10}};
  expect({"DeformConv", "", {x, w, offsets}}, {{{1, 1, 2, 2}, {2, 4, 2, 3}}});
  expect({"DeformConv", "", {x, w, offsets, bias, factors}}, {{{1, 1, 2, 2}, {3, 5, 3, 31}}});
  // Of two taps beside each other the second is moved up by one row.
  const Operand row = Tensor{{1, 1, 1, 2}, {1, 10}}, moved = Tensor{{1, 4, 2, 1}, {0, 0, 0, 0, -1, -1, 0, 0}};
  expect({"DeformConv", "", {x, row, moved}}, {{{1, 1, 2, 1}, {0, 12}}});
  EXPECT_EQ(refusal({"DeformConv", "", {x, row, offsets}}),
            "node 'n' (DeformConv): offsets [1, 2, 2, 2] in 1 groups for [1, 1, 2, 2]");
  EXPECT_EQ(refusal({"DeformConv", attribute("offset_group", int64_t{2}), {x, w, offsets}}),
            "node 'n' (DeformConv): offsets [1, 2, 2, 2] in 2 groups for [1, 1, 2, 2]");
}

TEST(OnnxSignal, ARealSignalComesBackFromHalfItsSpectrum) {
  const Operand spectrum = Tensor{{1, 3, 2}, {10, 0, -2, 2, -2, 0}};
  const std::string both = attribute("inverse", int64_t{1}) + attribute("onesided", int64_t{1});
  expect({"DFT", both, {spectrum}, 1, 20}, {{{1, 4, 1}, {1, 2, 3, 4}}});
  EXPECT_EQ(refusal({"DFT", both, {Tensor{{1, 3, 1}, {1, 2, 3}}}, 1, 20}),
            "node 'n' (DFT): expected complex numbers in the last dimension, got [1, 3, 1]");
}

TEST(OnnxElementwise, WhatOpset28Adds) {
  const Operand a = Tensor{{4}, {-3, 3, -3, 5.5}}, b = Tensor{{4}, {2, -2, -2, INFINITY}};
  expect({"Mod", "", {a, b}}, {{{4}, {1, -1, -1, 5.5}}});
  expect({"Mod", attribute("fmod", int64_t{1}), {a, b}}, {{{4}, {-1, 1, -1, 5.5}}});
  EXPECT_EQ(refusal({"Mod", "", {a, b}, 1, 13}),
            "node 'n' (Mod): attribute 'fmod' has to be 1 for floating operands until opset 27");

  const Operand gate = Tensor{{2}, {2, 0}}, linear = Tensor{{2}, {4, 4}};
  expect({"SwiGLU", attribute("alpha", static_cast<float>(ln3 / 2)), {gate, linear}}, {{{2}, {6, 0}}});
  EXPECT_EQ(refusal({"SwiGLU", "", {gate, Tensor{{1}, {4}}}}),
            "node 'n' (SwiGLU): the gate [2] and the value [1] differ");

  const Operand image = Tensor{{1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7}};
  const std::string two = attribute("blocksize", int64_t{2});
  expect({"SpaceToDepth", two, {image}}, {{{1, 8, 1, 1}, {0, 4, 1, 5, 2, 6, 3, 7}}});
  expect({"SpaceToDepth", two + attribute("mode", "CRD"), {image}}, {{{1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7}}});
  EXPECT_EQ(refusal({"SpaceToDepth", two + attribute("mode", "RGB"), {image}}),
            "node 'n' (SpaceToDepth): attribute 'mode' is neither DCR nor CRD");
}

TEST(OnnxElementwise, BitCastOfBytes) {
  const auto to = [](DType dtype) { return attribute("to", static_cast<int64_t>(onnx::element_of(dtype))); };
  expect({"BitCast", to(u8), {Tensor{{3}, {-1, 5, -128}, i8}}}, {{{3}, {255, 5, 128}, u8}});
  expect({"BitCast", to(i8), {Tensor{{3}, {255, 5, 128}, u8}}}, {{{3}, {-1, 5, -128}, i8}});
  expect({"BitCast", to(u8), {Tensor{{2}, {0, 1}, boolean}}}, {{{2}, {0, 1}, u8}});
  EXPECT_EQ(refusal({"BitCast", to(i32), {Tensor{{1}, {1}}}}), "node 'n' (BitCast): the bits of f32 as i32");
  EXPECT_EQ(refusal({"BitCast", to(f64), {Tensor{{1}, {1}}}}), "node 'n' (BitCast): f32 and f64 differ in size");
}

TEST(OnnxLearning, TensorOperators) {
  const Operand x = Tensor{{2, 3}, {1, 2, 3, 4, 5, 6}};
  expect({"Binarizer", attribute("threshold", 3.0f), {x}, 1, 1, "ai.onnx.ml"}, {{{2, 3}, {0, 0, 0, 1, 1, 1}}});
  expect({"ArrayFeatureExtractor", "", {x, Tensor{{1, 2}, {2, 0}, i64}}, 1, 1, "ai.onnx.ml"}, {{{2, 2}, {3, 1, 6, 4}}});
  EXPECT_THAT(refusal({"Scaler", "", {x}, 1, 1, "ai.onnx.ml"}), HasSubstr("there is no operator of this name"));
}

}  // namespace
}  // namespace gmc::test
