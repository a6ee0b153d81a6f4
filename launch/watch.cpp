#include "launch/watch.h"

#include <filesystem>

#include "parallel/runtime.h"
#include "src/io/files.h"
#include "src/io/json.h"

namespace tandem {

void write_failure(const std::string& output_directory, const FailureRecord& record) {
    try {
        if (!std::filesystem::is_directory(output_directory)) return;
        write_json_file(std::filesystem::path(output_directory) / "failure.json",
                        Json{{"code", record.code}, {"message", record.message}, {"rank", record.rank}, {"host", record.host}});
    } catch (const std::exception&) {
        // The directory itself may be what is broken.
    }
}

void watch(Runtime& runtime, const std::optional<double>& deadline, const std::string& output_directory) {
    WatchdogSettings settings{.deadline = deadline, .moved = file_activity};
    if (!output_directory.empty()) {
        settings.record = [output_directory](const StallReport& report) {
            write_failure(output_directory, {.message = report.message, .rank = report.rank, .host = report.host});
        };
    }
    runtime.watch(std::move(settings));
}

}  // namespace tandem
