// Loops and conditions. A function given to them is captured once, whatever the number of trips; what it uses from
// around it, tensors and parameters, it sees as they are when the loop begins.
//
//   auto [tokens, k, v] = loop(c.gen, carry(first, k0, v0), [&](Tensor i, Tensor token, Tensor k, Tensor v) {
//     auto [logits, k2, v2] = net.decode_one(token, i, k, v);
//     return carry(categorical("u", logits), k2, v2);
//   }).collect<0>();
//
//   auto [h, c, hs] = scan(over(xs), carry(h0, c0), [&](Tensor x, Tensor h, Tensor c) {
//     auto [h2, c2] = cell(x, h, c);
//     return carry(h2, c2).emit(h2);
//   });
//
// Draws are those of their name and of the trip. Inputs, outputs and updates stand outside.
#pragma once

#include "compiler/dsl/callback.h"
#include "compiler/dsl/location.h"

#include <array>
#include <concepts>
#include <cstdint>

#include <memory>
#include <source_location>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace gmc {

// What a trip of scan returns: the carries, and what is stacked.
template <size_t N, size_t M>
struct Emitted {
  std::array<Tensor, N> carries;
  std::array<Tensor, M> outputs;
};

// Tensors that go from trip to trip. Their dtypes and shapes stay.
template <size_t N>
struct Carry {
  std::array<Tensor, N> values;
  template <class... T>
  Emitted<N, sizeof...(T)> emit(const T&... outputs) const {
    return {values, {Tensor(At(outputs))...}};
  }
};
template <class... T>
Carry<sizeof...(T)> carry(const T&... values) {
  return {{Tensor(At(values))...}};
}

// Tensors that scan takes slice by slice along their leading dimensions, which are equal.
template <size_t M>
struct Over {
  std::array<Tensor, M> values;
  bool reverse = false;
  // The last slice first.
  Over reversed() const { return {values, !reverse}; }
};
template <class... T>
Over<sizeof...(T)> over(const T&... values) {
  return {{Tensor(At(values))...}, false};
}

namespace dsl {

using Tensors = std::vector<Tensor>;
using Body = Callback<Tensors(const Tensors&)>;

// A loop that was captured and is not in the graph yet: what is collected is said afterwards.
class CapturedLoop;
std::shared_ptr<const CapturedLoop> capture_loop(int64_t trips, const Tensors& carries, const Body&,
                                                 const graph::Location&);
// The results, those of `collected` with their values after every trip.
Tensors place_loop(const CapturedLoop&, const std::vector<size_t>& collected);
Tensors place_scan(const Tensors& over, bool reverse, const Tensors& carries, const Body&, const graph::Location&);
Tensors place_while(const Tensors& carries, const Body& condition, const Body& body, int64_t limit,
                    const graph::Location&);
Tensors place_cond(const Tensor& predicate, const Body& then, const Body& otherwise, const graph::Location&);
graph::Location location_of(const std::source_location&);

template <size_t N>
std::array<Tensor, N> to_array(const Tensors& tensors) {
  std::array<Tensor, N> out;
  for (size_t i = 0; i < N; ++i) out[i] = tensors[i];
  return out;
}
template <size_t N>
Tensors to_vector(const std::array<Tensor, N>& tensors) {
  return {tensors.begin(), tensors.end()};
}

template <size_t>
using Each = const Tensor&;
template <class F, class I>
struct Takes;
template <class F, size_t... I>
struct Takes<F, std::index_sequence<I...>> {
  static constexpr bool value = std::is_invocable_v<F, Each<I>...>;
};
template <class F, size_t N>
constexpr bool takes = Takes<F, std::make_index_sequence<N>>::value;

template <class F, size_t... I>
decltype(auto) call(F& f, const Tensors& x, size_t from, std::index_sequence<I...>) {
  return f(x[from + I]...);
}

// Calls a function with the index, if it takes that, and `N` tensors.
template <size_t N, class F>
decltype(auto) call_with_index(F& f, const Tensors& x) {
  if constexpr (takes<F&, N + 1>)
    return call(f, x, 0, std::make_index_sequence<N + 1>());
  else
    return call(f, x, 1, std::make_index_sequence<N>());
}

// What a body returned: carries, or a tensor for one carry.
template <size_t N, class R>
Tensors carries_of(const R& r) {
  if constexpr (std::is_same_v<R, Carry<N>>) {
    return to_vector(r.values);
  } else {
    static_assert(N == 1 && std::is_convertible_v<R, Tensor>, "the function returns as many carries as it takes");
    return {Tensor(r)};
  }
}
template <class R>
struct Stacks : std::integral_constant<size_t, 0> {};
template <size_t N, size_t M>
struct Stacks<Emitted<N, M>> : std::integral_constant<size_t, M> {};

}  // namespace dsl

// The results of a loop: `auto [a, b] = loop(...)`, and of one carry `Tensor a = loop(...)`.
template <size_t N>
class Loop {
public:
  explicit Loop(std::shared_ptr<const dsl::CapturedLoop> loop) : loop_(std::move(loop)) {}

  // The carries I... with their values after every trip, stacked along a new leading dimension; the others as they end.
  template <size_t... I>
  std::array<Tensor, N> collect() const {
    static_assert(((I < N) && ...), "collect names a carry by its number, from 0");
    return dsl::to_array<N>(dsl::place_loop(*loop_, {I...}));
  }
  template <size_t I>
  Tensor get() const {
    if (!results_) results_ = std::make_shared<dsl::Tensors>(dsl::place_loop(*loop_, {}));
    return (*results_)[I];
  }
  operator Tensor() const
    requires(N == 1)
  {
    return get<0>();
  }

private:
  std::shared_ptr<const dsl::CapturedLoop> loop_;
  mutable std::shared_ptr<dsl::Tensors> results_;
};

// `trips` times. The body takes the carries, the trip's index (an i64 scalar) before them if it wants it, and returns
// them anew.
template <size_t N, class F>
Loop<N> loop(int64_t trips, const Carry<N>& carries, F&& body,
             std::source_location where = std::source_location::current()) {
  static_assert(dsl::takes<F&, N> || dsl::takes<F&, N + 1>, "the body of a loop takes its carries");
  const auto run = [&](const dsl::Tensors& x) { return dsl::carries_of<N>(dsl::call_with_index<N>(body, x)); };
  return Loop<N>(dsl::capture_loop(trips, dsl::to_vector(carries.values), run, dsl::location_of(where)));
}

// The same with as many carries as a vector holds, such as the cache of every layer: the body takes the index and all
// of them, and returns them anew. Those numbered in `collected` come with their values after every trip.
template <class F>
std::vector<Tensor> loop(int64_t trips, const std::vector<Tensor>& carries, F&& body,
                         const std::vector<size_t>& collected = {},
                         std::source_location where = std::source_location::current()) {
  const auto run = [&](const dsl::Tensors& x) -> dsl::Tensors {
    return body(x[0], std::vector<Tensor>(x.begin() + 1, x.end()));
  };
  return dsl::place_loop(*dsl::capture_loop(trips, carries, run, dsl::location_of(where)), collected);
}

// Once for each slice. The body takes a slice of each of `over` and the carries, the index before them if it wants it,
// and returns the carries, with emit() what is stacked. The results are the carries at the end, then what was stacked.
template <size_t M, size_t N, class F>
auto scan(const Over<M>& over, const Carry<N>& carries, F&& body,
          std::source_location where = std::source_location::current()) {
  static_assert(dsl::takes<F&, M + N> || dsl::takes<F&, M + N + 1>,
                "the body of a scan takes a slice of each input and its carries");
  using R = std::remove_cvref_t<decltype(dsl::call_with_index<M + N>(body, std::declval<const dsl::Tensors&>()))>;
  constexpr size_t stacks = dsl::Stacks<R>::value;
  const auto run = [&](const dsl::Tensors& x) {
    // Slices come before carries where people write them.
    dsl::Tensors ordered{x[0]};
    ordered.insert(ordered.end(), x.begin() + 1 + N, x.end());
    ordered.insert(ordered.end(), x.begin() + 1, x.begin() + 1 + N);
    const R r = dsl::call_with_index<M + N>(body, ordered);
    if constexpr (stacks == 0) {
      return dsl::carries_of<N>(r);
    } else {
      static_assert(std::is_same_v<R, Emitted<N, stacks>>, "the function returns as many carries as it takes");
      dsl::Tensors out = dsl::to_vector(r.carries);
      out.insert(out.end(), r.outputs.begin(), r.outputs.end());
      return out;
    }
  };
  return dsl::to_array<N + stacks>(dsl::place_scan(dsl::to_vector(over.values), over.reverse,
                                                   dsl::to_vector(carries.values), run, dsl::location_of(where)));
}

// As long as `condition` (of the carries: a bool scalar) holds, at most `limit` times unless that is -1. Has no
// gradient.
template <size_t N, class C, class F>
std::array<Tensor, N> while_loop(const Carry<N>& carries, C&& condition, F&& body, int64_t limit = -1,
                                 std::source_location where = std::source_location::current()) {
  static_assert(dsl::takes<C&, N> || dsl::takes<C&, N + 1>, "the condition of a while takes its carries");
  static_assert(dsl::takes<F&, N> || dsl::takes<F&, N + 1>, "the body of a while takes its carries");
  const auto ask = [&](const dsl::Tensors& x) { return dsl::Tensors{dsl::call_with_index<N>(condition, x)}; };
  const auto run = [&](const dsl::Tensors& x) { return dsl::carries_of<N>(dsl::call_with_index<N>(body, x)); };
  return dsl::to_array<N>(dsl::place_while(dsl::to_vector(carries.values), ask, run, limit, dsl::location_of(where)));
}

// What one of two functions without arguments returns: a tensor, or several as carry(a, b). The predicate is a bool
// scalar.
template <class T, class E>
auto cond(const Tensor& predicate, T&& then, E&& otherwise,
          std::source_location where = std::source_location::current()) {
  using R = std::remove_cvref_t<std::invoke_result_t<T&>>;
  static_assert(std::is_same_v<R, std::remove_cvref_t<std::invoke_result_t<E&>>>,
                "both sides of a cond return as many tensors");
  const auto tensors = [](const R& r) {
    if constexpr (std::is_convertible_v<R, Tensor>)
      return dsl::Tensors{Tensor(r)};
    else
      return dsl::to_vector(r.values);
  };
  const dsl::Tensors out = dsl::place_cond(
      predicate, [&](const dsl::Tensors&) { return tensors(then()); },
      [&](const dsl::Tensors&) { return tensors(otherwise()); }, dsl::location_of(where));
  if constexpr (std::is_convertible_v<R, Tensor>)
    return out[0];
  else
    return dsl::to_array<std::tuple_size_v<decltype(R::values)>>(out);
}

}  // namespace gmc

template <size_t N>
struct std::tuple_size<gmc::Loop<N>> : std::integral_constant<size_t, N> {};
template <size_t I, size_t N>
struct std::tuple_element<I, gmc::Loop<N>> {
  using type = gmc::Tensor;
};
