#include "models/nn/convolution.h"

#include "compiler/dsl/program.h"
#include "models/nn/init.h"
#include "ops/ops.h"
#include "runtime/base/error.h"

#include <fmt/format.h>

namespace gmc {
namespace {

void check(const char* layer, int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& o) {
  if (in < 1 || out < 1 || kernel < 1) fail("{}({}, {}, {}): expected numbers of at least 1", layer, in, out, kernel);
  if (o.groups < 1 || in % o.groups != 0 || out % o.groups != 0)
    fail("{}({}, {}, {}): {} groups do not divide the channels", layer, in, out, kernel, o.groups);
}

ConvOptions options_of(const Conv2dOptions& o) {
  return {.step = {o.step}, .padding = {o.padding}, .dilation = {o.dilation}, .groups = o.groups};
}

void check_channels(const At& x, const std::string& layer, int64_t in) {
  if (x.rank() != 4 || x.dim(1) != in)
    fail_at(x, fmt::format("{}: expected [n, {}, height, width], got {}", layer, in, to_string(x.shape())));
}

}  // namespace

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& o, std::source_location made)
    : options(o) {
  check("Conv2d", in, out, kernel, o);
  const Shape shape{out, in / o.groups, kernel, kernel};
  const Initialiser start = init::fan_in(shape);
  weight = Parameter(shape, start, StateKind::parameter, made);
  if (o.bias) bias = Parameter({out}, start, StateKind::parameter, made);
}

Tensor Conv2d::operator()(At x) const {
  const Shape& w = weight.shape();
  const std::string layer = fmt::format("Conv2d({}, {}, {})", w[1] * options.groups, w[0], w[2]);
  const Scope scope(*this, x, layer);
  check_channels(x, layer, w[1] * options.groups);
  return bias.valid() ? conv(x, weight, bias, options_of(options)) : conv(x, weight, options_of(options));
}

ConvTranspose2d::ConvTranspose2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& o,
                                 std::source_location made)
    : options(o) {
  check("ConvTranspose2d", in, out, kernel, o);
  const Shape shape{in, out / o.groups, kernel, kernel};
  const Initialiser start = init::fan_in(shape);
  weight = Parameter(shape, start, StateKind::parameter, made);
  if (o.bias) bias = Parameter({out}, start, StateKind::parameter, made);
}

Tensor ConvTranspose2d::operator()(At x) const {
  const Shape& w = weight.shape();
  const std::string layer = fmt::format("ConvTranspose2d({}, {}, {})", w[0], w[1] * options.groups, w[2]);
  const Scope scope(*this, x, layer);
  check_channels(x, layer, w[0]);
  return bias.valid() ? conv_transpose(x, weight, bias, options_of(options))
                      : conv_transpose(x, weight, options_of(options));
}

}  // namespace gmc
