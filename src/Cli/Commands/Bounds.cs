namespace Lamina.Cli.Commands;

/// <summary>Checks of option values; what is refused names the option, the value and what is allowed.</summary>
internal static class Bounds
{
    public static int AtLeast(int value, int min, string option) =>
        value >= min ? value : throw new UsageException($"{option} is {value}; it must be at least {min}");

    public static int Within(int value, int min, int max, string option) =>
        value >= min && value <= max ? value : throw new UsageException($"{option} is {value}; it must be from {min} to {max}");
}
