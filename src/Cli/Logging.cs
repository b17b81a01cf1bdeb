using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Lamina.Cli;

/// <summary>Logs go to standard error, so that standard output stays the command's own.</summary>
internal static class Logging
{
    /// <summary>One line an entry. Interactive commands show warnings only unless <paramref name="verbose"/>.</summary>
    public static ILoggerFactory Create(LogLevel level) => LoggerFactory.Create(builder => builder
        .SetMinimumLevel(level)
        .AddFilter("Microsoft.AspNetCore", level > LogLevel.Warning ? level : LogLevel.Warning)
        .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None) // start-up failures reach the user as the command's own sentence
        .AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
            console.ColorBehavior = LoggerColorBehavior.Disabled;
        })
        .Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace));
}
