// The largest difference seen of each kind, printed at the end of a test program: how near the bounds the results are.
#pragma once

#include <string>

namespace tandem::test {

/// |got - want| / |want|, noted under `kind`.
double relative_difference(const std::string& kind, double got, double want);
/// Notes a difference under `kind` and returns it.
double note_figure(const std::string& kind, double difference);

}  // namespace tandem::test
