// Graph passes: each is one function in one file, named like the file and its test.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/op.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace gmc::transform {

using graph::Graph;

Graph merge_loops(Graph);              // loops that go through the same carries become one
Graph expand_composites(Graph);        // composites become primitives
Graph simplify(Graph);                 // the rewrites that hang on the ops, to a fixed point
Graph fold_constants(Graph);           // ops on constants, in f64, rounded once where they are used
Graph legalise_dtypes(Graph);          // halves are computed in f32
Graph products_to_sums(Graph);         // products of other dtypes, and of one row
Graph hoist_invariants(Graph);         // what does not change from trip to trip leaves its loop
Graph canonicalise_reductions(Graph);  // reductions over the last dimension, all but the last, or all
Graph sink_reshapes(Graph);            // what follows the reshape of a product moves in front of it
Graph eliminate_common(Graph);         // equal nodes become one
// Nodes that reach no output go, and what of a loop or cond reaches none; data inputs stay, being the interface.
Graph eliminate_dead(Graph);

// Products, and what stands between them, in `low` (f16 or bf16), with casts around them; reductions, norms, losses,
// optimisers, inputs, outputs and state stay f32 (Micikevicius et al. 2018). See the file for the rule.
Graph mixed_precision(const Graph&, DType low);

struct Pass {
  const char* name;
  const char* help;
  Graph (*run)(Graph);
  // Whether there is something for it in a graph, regions aside; nullptr: who knows.
  bool (*applies)(const Graph&) = nullptr;
};
// In the order of the pipeline.
const std::vector<Pass>& passes();
// Those that an entry asks for (compiler/dsl/program.h); the pipeline does not run them.
const std::vector<Pass>& optional_passes();
// One of either.
const Pass& pass_named(const std::string&);

// Runs the whole pipeline, each pass on the regions of nodes first, and verifies the result. `after`, if given, sees
// what each pass leaves, verified.
Graph run_pipeline(const Graph&, const std::function<void(const Pass&, const Graph&)>& after = {});

// Every draw of `names` (all if empty) becomes an input of role `draw`, so that a caller can supply it. Where several
// scopes hold a draw of one name, the inputs are named `scope/name`. A draw inside a loop is fed for all trips, their
// number being a leading dimension; throws `Error` where a while has no limit.
Graph feed_draws(const Graph&, const std::vector<std::string>& names = {});

// The one rewrite engine: rebuilds a graph in order. `visit` gets each node with its new operands and returns the
// values (in the new graph) that replace its results; none, to keep the node.
using Replacements = std::vector<graph::Var>;
Graph rebuild(Graph, const std::function<Replacements(Graph&, const graph::Node&, std::span<const graph::Var>)>& visit);

}  // namespace gmc::transform
