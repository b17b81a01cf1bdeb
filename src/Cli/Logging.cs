using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Lamina.Cli;

/// <summary>Logs go to standard error, so that standard output stays the command's own.</summary>
internal static class Logging
{
    private const string LevelVariable = "LAMINA_LOG_LEVEL";

    /// <summary>One line an entry. <c>LAMINA_LOG_LEVEL</c> goes before the command's own level, and then holds for the web server as well. Throws <see cref="UsageException"/> when it is no level.</summary>
    public static ILoggerFactory Create(LogLevel level)
    {
        LogLevel? named = Named();
        return Create(named ?? level, named ?? (level > LogLevel.Warning ? level : LogLevel.Warning));
    }

    private static LogLevel? Named() => Environment.GetEnvironmentVariable(LevelVariable) is not { Length: > 0 } text ? null
        : Enum.TryParse(text, ignoreCase: true, out LogLevel level) && Enum.IsDefined(level) && !char.IsAsciiDigit(text[0]) ? level
        : throw new UsageException($"{LevelVariable} is '{text}', expected {string.Join(", ", Enum.GetNames<LogLevel>())}");

    private static ILoggerFactory Create(LogLevel level, LogLevel ofServer) => LoggerFactory.Create(builder => builder
        .SetMinimumLevel(level)
        .AddFilter("Microsoft.AspNetCore", ofServer)
        .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None) // start-up failures reach the user as the command's own sentence
        .AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
            console.ColorBehavior = LoggerColorBehavior.Disabled;
        })
        .Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace));
}
