// Draws: values that are functions of (seed; entry, scope and draw name; step; element). runtime/execute/random.h
// defines the streams.
#include "runtime/execute/random.h"

#include "ops/elementwise.h"
#include "runtime/base/error.h"

namespace gmc::ops {

using namespace graph;

// `distribution`: normal (mean 0, deviation 1) or uniform ([0, 1)). `stream`: execute::stream_of("entry/draw name").
const OpDef random_op{
    .name = "random",
    .category = Category::random,
    .arity = 0,
    .infer = [](std::span<const TensorType>, const Attributes& a) -> std::vector<TensorType> {
      for (const char* key : {"distribution", "dtype", "name", "shape", "stream"})
        if (!a.count(key)) fail("attribute '{}' is missing", key);
      const std::string& distribution = std::get<std::string>(a.at("distribution"));
      if (distribution != "normal" && distribution != "uniform")
        fail("unknown distribution '{}': expected normal or uniform", distribution);
      const std::string& dtype = std::get<std::string>(a.at("dtype"));
      if (dtype != "f32") fail("draws are f32, got {}", dtype);
      const Shape& shape = std::get<std::vector<int64_t>>(a.at("shape"));
      byte_size(DType::f32, shape);
      return {TensorType{DType::f32, shape}};
    },
    .reference =
        [](const ReferenceArguments& a) {
          const uint64_t key = execute::stream_key(a.seed, static_cast<uint64_t>(a.node.integer("stream")), a.step);
          const bool normal = a.node.text("distribution") == "normal";
          Reference out{a.node.types[0].shape,
                        std::vector<double>(static_cast<size_t>(element_count(a.node.types[0].shape)))};
          for (size_t i = 0; i < out.values.size(); ++i) {
            const uint32_t word = execute::random_word(key, i, a.loop);
            out.values[i] = normal ? execute::normal_of(word) : execute::uniform_of(word);
          }
          return out;
        },
    .cost = 60,
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const char* distribution : {"normal", "uniform"})
            samples.push_back({{},
                               {{"distribution", distribution},
                                {"dtype", "f32"},
                                {"name", "x"},
                                {"shape", Shape{5, 37}},
                                {"stream", int64_t{42}}}});
          return samples;
        },
    .bad_samples =
        [] {
          auto with = [](const char* key, Attribute value) {
            Attributes a{{"distribution", "normal"},
                         {"dtype", "f32"},
                         {"name", "x"},
                         {"shape", Shape{5}},
                         {"stream", int64_t{42}}};
            a[key] = std::move(value);
            return a;
          };
          return std::vector<BadSample>{{{}, with("distribution", "cauchy"), "unknown distribution 'cauchy'"},
                                        {{}, with("dtype", "i32"), "draws are f32, got i32"},
                                        {{}, {}, "attribute 'distribution' is missing"}};
        }};

}  // namespace gmc::ops
