// Builds regions and runs graphs, for the tests of control flow.
#pragma once

#include "compiler/graph/core_loop.h"
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "ops/registry.h"
#include "runtime/execute/random.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace gmc::tests {

using namespace graph;

using Vars = std::vector<Var>;
using Values = std::map<std::string, Reference>;

// `body` gets the arguments in order and returns the outputs.
inline Region region(const std::string& name, const std::vector<TensorType>& types,
                     const std::function<Vars(Graph&, const Vars&)>& body) {
  auto g = std::make_shared<Graph>(name);
  Vars arguments;
  for (const TensorType& type : types) arguments.push_back(argument(*g, "a" + std::to_string(arguments.size()), type));
  for (const Var& v : body(*g, arguments)) g->add_output({"r" + std::to_string(g->outputs().size()), v.value, false});
  return g;
}

inline const TensorType index_type{i64, {}};

inline Var draw(Graph& g, const std::string& distribution, const std::string& name, const Shape& shape) {
  const OpDef* op = nullptr;
  for (const OpDef* candidate : ops::registry())
    if (candidate->category == Category::random) op = candidate;
  const auto stream = static_cast<int64_t>(execute::stream_of(("entry/" + name).c_str()));
  return {&g, g.add(*op, {},
                    {{"distribution", distribution},
                     {"dtype", std::string("f32")},
                     {"name", name},
                     {"shape", shape},
                     {"stream", stream}})};
}

inline Var data(Graph& g, const std::string& name, const Shape& shape) { return input(g, name, "data", {f32, shape}); }

// Numbers in [-1, 1) that depend on the name only.
inline Reference values_for(const std::string& name, const Shape& shape) {
  Reference r{shape, {}};
  const uint64_t key = execute::stream_key(7, execute::stream_of(name.c_str()), 0);
  for (int64_t e = 0; e < element_count(shape); ++e)
    r.values.push_back(2 * execute::uniform_of(execute::random_word(key, static_cast<uint64_t>(e))) - 1);
  return r;
}
inline Values values_for(const Graph& g) {
  Values out;
  for (const Node& n : g.nodes())
    if (n.op->category == Category::input) out[n.text("name")] = values_for(n.text("name"), n.types[0].shape);
  return out;
}

}  // namespace gmc::tests
