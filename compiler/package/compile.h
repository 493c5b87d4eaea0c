// From the captured entries of a program to a package and its code: the whole pipeline in one function.
#pragma once

#include "compiler/codegen/compile_kernels.h"
#include "compiler/fusion/plan.h"
#include "compiler/graph/graph.h"
#include "compiler/lower/lower.h"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gmc::package {

// What is compiled: entries as captured, and the state they share.
struct StateSource {
  std::string name;
  graph::TensorType type;
  bool is_parameter = true;  // belongs into a weights file
  bool is_training = false;  // optimizer state
};
struct Source {
  std::string name;           // of the model
  std::string config = "{}";  // JSON
  std::vector<StateSource> states;
  std::vector<graph::Graph> entries;
};

struct Options {
  codegen::Target target;
  std::string policy = "greedy";
  // Plans to use instead of the policy's, by entry: JSON text, comments allowed.
  std::map<std::string, std::string> plans;
  std::string library;     // `onednn`: products that a library takes go there; empty: everything is generated
  int jobs = 0;            // threads that compile; 0: as many as there are CPUs
  bool keep_text = false;  // keep the text of every stage, for --emit and `inspect`
};

struct CompiledKernel {
  kernel::Kernel kernel;
  codegen::KernelCode code;
};

struct CompiledEntry {
  std::string name;                           // of a region: behind what runs it, such as `sample/scan/body`
  std::shared_ptr<const graph::Graph> graph;  // after the transforms
  std::shared_ptr<const fusion::View> view;
  fusion::Plan plan;
  fusion::PlanReport report;
  std::vector<lower::Step> steps;
  std::vector<CompiledKernel> kernels;  // generated ones, in the order of the steps
  std::vector<CompiledEntry> regions;   // of the nodes that have some, in order
  int32_t node = -1;                    // of a region: the node of the graph around that runs it
  int64_t arena_bytes = 0;
};

// The first four are sums over what is worked on side by side; the total is what passed.
struct Timing {
  double transform_ms = 0, fusion_ms = 0, lower_ms = 0, codegen_ms = 0, package_ms = 0, total_ms = 0;
};

struct Compiled {
  std::string name;
  std::string package;                 // bytes of execute::Package
  std::vector<std::string> functions;  // symbols, in the order of the package's function table
  std::vector<codegen::ObjectCode> objects;
  std::vector<CompiledEntry> entries;
  codegen::Target target;
  Timing timing;
};

// Throws `Error` from any stage.
Compiled compile(const Source&, const Options&);

// The plan file: the plans of all entries, with those of the loops inside.
nlohmann::ordered_json plans_json(const Compiled&);

// The text of an entry's generated kernels, those inside loops included, with the functions that each became.
std::string print_kernels(const CompiledEntry&);

}  // namespace gmc::package
