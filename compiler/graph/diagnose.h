// The text of an error that points into the user's model.
//
//   vae.cpp:17:21: error: matmul: inner sizes differ: [128, 784] x [512, 400]
//      17 |     Tensor h = relu(fc1(x)), m = mu(h), lv = logvar(h);
//         |                     ^ fc1 is Linear(512, 400), made at vae.cpp:13:27
//     x: [128, 784] is the input of entry 'step' (vae.cpp:31:16)
//     help: make fc1 Linear(784, 400)
#pragma once

#include "compiler/graph/node.h"

#include <string>
#include <vector>

namespace gmc::graph {

class Graph;

// A sentence about where something in an error message comes from: `fc1 is Linear(512, 400), made` + location.
struct Note {
  std::string text;
  Location location;
};

// The same place, at the first letter of what stands there, as far as the source file can be read. A compiler gives a
// call's opening parenthesis and an operator's last token; `symbol` is the operator (`+`), 0 for a call. A file that is
// not there may be one that gmc was built from; its path is then given whole.
Location refined(const Location&, char symbol = 0);

// `notes` stand below the source line. Places are refined.
std::string diagnose(const Location& at, const std::string& message, const std::vector<Note>& notes = {},
                     const std::string& help = {}, char symbol = 0);
// At the graph's current location, with its innermost note beside the caret and a line on each of `operands`.
std::string diagnose(const Graph&, const std::string& message, const std::vector<Value>& operands,
                     const std::string& help = {});

}  // namespace gmc::graph
