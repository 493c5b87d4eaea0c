// What runs an imported model.
#pragma once

#include "compiler/package/compile.h"
#include "compiler/package/session.h"
#include "tools/onnx/judge.h"

namespace gmc::onnx {

// The reference interpreter, in f64.
TensorMap run_interpreted(const Imported&, const TensorMap& inputs);
// Generated code in this process. Throws `Unsupported` where the compiler refuses the graph.
TensorMap run_compiled(const Imported&, const TensorMap& inputs, const package::Options&,
                       const package::SessionOptions&);

// The program as the compiler takes it.
package::Source source_of(const Imported&, const std::string& name);

}  // namespace gmc::onnx
