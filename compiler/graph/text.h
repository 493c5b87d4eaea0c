// The `.graph` text form: prints, and parses back to the same graph.
//
//   graph step
//   %0 = input {dtype="f32", name="x", role="data", shape=[128,784]} : f32[128,784] "x" @ "vae.cpp":31:16
//   %7 = matmul %0 %5 {transpose_b=true} : f32[128,400] "fc1/matmul" @ "vae.cpp":17:31
//   %8 = scan %7 %1 {carries=1, inputs=1, reverse=false, trips=128} : f32[400], f32[128] "scan"
//     region body
//     %0 = input {dtype="i64", name="i", role="argument", shape=[]} : i64[] "i"
//     ...
//     output "carry" %5
//   output "loss" %90
//   update "fc1.weight" %118
//
// The regions of a node follow it, two blanks further in.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/op.h"

#include <string>
#include <string_view>
#include <vector>

namespace gmc::graph {

std::string print(const Graph&, bool locations = true);
// Throws `Error` naming the line and what is wrong. `ops`: the ops that may occur.
Graph parse(std::string_view text, const std::vector<const OpDef*>& ops);
// Checks that inputs precede uses, types are what the ops infer, names and outputs are unique; throws `Error` naming
// node and rule.
// Regions, which have arguments and no state, are verified with the nodes they belong to.
void verify(const Graph&);

}  // namespace gmc::graph
