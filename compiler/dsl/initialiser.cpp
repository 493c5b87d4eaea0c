#include "compiler/dsl/initialiser.h"

#include "runtime/base/error.h"
#include "runtime/base/tensor.h"
#include "runtime/execute/random.h"

namespace gmc {

HostTensor initial_value(const Initialiser& init, const std::string& name, DType dtype, const Shape& shape,
                         uint64_t seed) {
  if (dtype != f32 && dtype != f64) fail("state '{}': initial values are f32 or f64, got {}", name, name_of(dtype));
  HostTensor out(dtype, shape);
  const uint64_t key = execute::stream_key(seed, execute::stream_of(("init/" + name).c_str()), 0);
  const int64_t count = out.count();
  for (int64_t e = 0; e < count; ++e) {
    double value = init.a;
    if (init.kind != Initialiser::Kind::constant) {
      const uint32_t word = execute::random_word(key, static_cast<uint64_t>(e));
      value = init.kind == Initialiser::Kind::uniform ? init.a + (init.b - init.a) * execute::uniform_of(word)
                                                      : init.a + init.b * execute::normal_of(word);
    }
    if (dtype == f32) out.as<float>()[e] = static_cast<float>(value);
    if (dtype == f64) out.as<double>()[e] = value;
  }
  return out;
}

}  // namespace gmc
