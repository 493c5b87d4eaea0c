#include "compiler/graph/text.h"

#include "compiler/graph/core_ops.h"
#include "ops/registry.h"
#include "tests/fuzz/fuzz.h"

namespace gmc::fuzz {

// The samples of every op, as graphs of one op; they lead mutation to each op's attributes.
std::vector<Seed> seeds() {
  std::vector<Seed> result;
  for (const graph::OpDef* op : ops::registry()) {
    if (!op->samples) continue;
    const auto samples = op->samples();
    for (size_t i = 0; i < samples.size() && i < 3; ++i) {
      graph::Graph g("sample");
      std::vector<graph::Value> inputs;
      for (const graph::TensorType& type : samples[i].inputs)
        inputs.push_back(graph::input(g, fmt::format("x{}", inputs.size()), "data", type).value);
      g.context.location = {"file.cpp", 3, 14};
      g.add_output({"y", g.add(*op, inputs, samples[i].attributes), i == 1});
      result.push_back(seed_of(graph::print(g)));
    }
  }
  return result;
}

void read(files::Bytes bytes) {
  const graph::Graph g = graph::parse(text_of(bytes), ops::registry());
  const std::string text = graph::print(g);
  require(graph::print(graph::parse(text, ops::registry())) == text, "a graph changes when printed:\n" + text);
}

}  // namespace gmc::fuzz
