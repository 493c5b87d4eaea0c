// A reference to something that can be called, for as long as the call that takes it. <functional> would be a fifth of
// what compiling a model costs.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

namespace gmc {

template <class>
class Callback;

template <class Result, class... Arguments>
class Callback<Result(Arguments...)> {
public:
  template <class F>
    requires(!std::same_as<F, Callback>)
  Callback(const F& f)
      : object_(&f), call_([](const void* object, Arguments... arguments) -> Result {
          return (*static_cast<const F*>(object))(std::forward<Arguments>(arguments)...);
        }) {}

  Result operator()(Arguments... arguments) const { return call_(object_, std::forward<Arguments>(arguments)...); }

private:
  const void* object_;
  Result (*call_)(const void*, Arguments...);
};

}  // namespace gmc
