#include "tests/support/figures.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace tandem::test {
namespace {

class Figures : public testing::Environment {
public:
    void TearDown() override {
        for (const auto& [kind, difference] : largest_) fmt::print("largest difference, {}: {:.1e}\n", kind, difference);
    }
    void note(const std::string& kind, double difference) {
        auto& largest = largest_[kind];
        if (difference > largest || std::isnan(difference)) largest = difference;
    }

private:
    std::map<std::string, double> largest_;
};

Figures* const figures = dynamic_cast<Figures*>(testing::AddGlobalTestEnvironment(new Figures));

}  // namespace

double note_figure(const std::string& kind, double difference) {
    figures->note(kind, difference);
    return difference;
}

double relative_difference(const std::string& kind, double got, double want) {
    return note_figure(kind, want == got ? 0.0 : std::abs(got - want) / std::abs(want));
}

}  // namespace tandem::test
