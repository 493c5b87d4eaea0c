// Weights of GPT-2 as Hugging Face lays them out, in ar-gpt.
#include "runtime/files/npy.h"
#include "tests/cli/cli.h"

#include <cmath>
#include <cstring>

namespace gmc::test {
namespace {

using testing::HasSubstr;

const Words tiny_gpt{"--set", "batch=2", "--set",   "t=8",   "--set",    "vocab=11", "--set",
                     "d=12",  "--set",   "heads=3", "--set", "layers=2", "--set",    "gen=8"};

HostTensor transposed(const HostTensor& t) {
  HostTensor out(t.dtype, {t.shape[1], t.shape[0]});
  for (int64_t i = 0; i < t.shape[0]; ++i)
    for (int64_t j = 0; j < t.shape[1]; ++j) out.as<float>()[j * t.shape[0] + i] = t.as<float>()[i * t.shape[1] + j];
  return out;
}

class Gpt2 : public Cli {
protected:
  // A random model under the names of ar-gpt, whose biases and gains are no zeros and ones.
  TensorMap ours() const {
    fine(Words{"run", "ar-gpt", "--entry", "sample", "--seed", "3", "--save", file("start")} + tiny_gpt);
    TensorMap weights;
    uint32_t state = 1;
    for (auto [name, tensor] : files::load_safetensors(file("start"))) {
      if (name.rfind("adam.", 0) == 0) continue;
      for (int64_t i = 0; i < tensor.count(); ++i) {
        state = state * 1664525 + 1013904223;
        tensor.as<float>()[i] += 0.2f * static_cast<float>(static_cast<double>(state) * 0x1p-32 - 0.5);
      }
      weights[name] = tensor;
    }
    return weights;
  }
  // The same as GPT2LMHeadModel.state_dict() has it (modeling_gpt2.py): Conv1D holds [in, out].
  static TensorMap theirs(const TensorMap& weights, const std::string& prefix) {
    TensorMap out;
    for (const auto& [name, tensor] : weights) {
      std::string theirs = name;
      for (const auto& [a, b] : {std::pair(".attn.", ".attn.c_attn."), std::pair(".proj.", ".attn.c_proj."),
                                 std::pair(".fc.", ".mlp.c_fc."), std::pair(".fc_proj.", ".mlp.c_proj.")})
        if (const size_t at = name.find(a); at != std::string::npos) theirs.replace(at, std::strlen(a), b);
      const bool convolution = theirs.find(".c_") != std::string::npos && tensor.shape.size() == 2;
      out[prefix + theirs] = convolution ? transposed(tensor) : tensor;
    }
    out["lm_head.weight"] = weights.at("wte.weight");
    for (const char* layer : {"h.0", "h.1"}) out[prefix + layer + ".attn.bias"] = HostTensor(DType::u8, {1, 1, 8, 8});
    out[prefix + "h.0.attn.masked_bias"] = HostTensor(DType::f32, {});
    return out;
  }
  std::string evaluated(const std::string& weights) const {
    HostTensor ids(DType::i64, {2, 8}), targets(DType::i64, {2, 8});
    for (int64_t i = 0; i < 16; ++i) ids.as<int64_t>()[i] = i * 7 % 11, targets.as<int64_t>()[i] = i * 5 % 11;
    files::save_npy(file("ids.npy"), ids);
    files::save_npy(file("targets.npy"), targets);
    return fine(Words{"run", "ar-gpt", "--entry", "eval", "--weights", weights, "--input", "ids=" + file("ids.npy"),
                      "--input", "targets=" + file("targets.npy")} +
                tiny_gpt);
  }
};

TEST_F(Gpt2, loads_with_and_without_the_prefix) {
  const TensorMap weights = ours();
  files::save_safetensors(file("ours"), weights);
  const std::string expected = evaluated(file("ours"));
  for (const std::string prefix : {"transformer.", ""}) {
    files::save_safetensors(file("theirs"), theirs(weights, prefix));
    EXPECT_EQ(evaluated(file("theirs")), expected);
  }
  const Words sample = Words{"sample", "ar-gpt", "-n", "3"} + tiny_gpt;
  fine(sample + Words{"--weights", file("ours"), "-o", file("a.txt")});
  fine(sample + Words{"--weights", file("theirs"), "-o", file("b.txt")});
  EXPECT_EQ(read(file("a.txt")), read(file("b.txt")));
}

TEST_F(Gpt2, widens_halves) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    TensorMap weights = ours();
    for (auto& [name, tensor] : weights)  // to seven bits of fraction, as both have, and no subnormal numbers of f16
      for (int64_t i = 0; i < tensor.count(); ++i) {
        tensor.as<uint32_t>()[i] &= 0xffff0000u;
        if (std::fabs(tensor.as<float>()[i]) < 0x1p-14f) tensor.as<float>()[i] = 0;
      }
    TensorMap halves = theirs(weights, "transformer.");
    for (auto& [name, tensor] : halves) {
      if (tensor.dtype != DType::f32) continue;
      HostTensor narrow(dtype, tensor.shape);
      for (int64_t i = 0; i < tensor.count(); ++i) {
        const uint32_t bits = tensor.as<uint32_t>()[i], sign = bits >> 31 << 15, rest = bits & 0x7fffffffu;
        const uint32_t f16 = rest == 0 ? sign : sign | (rest - (112u << 23)) >> 13;
        narrow.as<uint16_t>()[i] = static_cast<uint16_t>(dtype == DType::bf16 ? bits >> 16 : f16);
      }
      tensor = narrow;
    }
    files::save_safetensors(file("ours"), weights);
    files::save_safetensors(file("halves"), halves);
    EXPECT_EQ(evaluated(file("halves")), evaluated(file("ours"))) << name_of(dtype);
  }
}

TEST_F(Gpt2, refuses_what_does_not_fit) {
  TensorMap untied = theirs(ours(), "transformer.");
  untied["lm_head.weight"].as<float>()[0] += 1;
  files::save_safetensors(file("untied"), untied);
  EXPECT_THAT(refused(1, Words{"sample", "ar-gpt", "--weights", file("untied"), "-o", file("s.txt")} + tiny_gpt),
              HasSubstr("lm_head.weight differs from wte.weight"));
  files::save_safetensors(file("theirs"), theirs(ours(), "transformer."));
  EXPECT_THAT(gmc(Words{"sample", "ar-gpt", "--weights", file("theirs"), "-o", file("s.txt")} + tiny_gpt +
                  Words{"--set", "layers=1"})
                  .output,
              HasSubstr("'h.1.attn.bias' is no state of this program"));
}

}  // namespace
}  // namespace gmc::test
