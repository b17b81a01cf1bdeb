using System.Diagnostics;
using System.Globalization;
using Lamina.Compute.Devices;

namespace Lamina.Node.Hosting;

/// <summary>What a node says of its machine beside its stages: how busy it is and how warm.</summary>
internal sealed class NodeSensors(ComputeDevice device)
{
    /// <summary>Linux' names for the sensors of processors, in the files <c>name</c> of <c>/sys/class/hwmon</c>.</summary>
    private static readonly HashSet<string> s_processors = ["coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu_thermal_zone"];

    private static readonly string[] s_temperatures = Temperatures();

    private TimeSpan _used = Used;
    private long _at = Stopwatch.GetTimestamp();

    private static TimeSpan Used => OperatingSystem.IsLinux() || OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? Environment.CpuUsage.TotalTime : TimeSpan.Zero;

    public DeviceReading? Device => device.Read();

    /// <summary>Of the GPU, else of the warmest processor; null where no sensor tells, as in most virtual machines.</summary>
    public double? TemperatureCelsius => Device?.TemperatureCelsius ?? ProcessorTemperature();

    /// <summary>Share of so many cores that this process used since the last call.</summary>
    public double CpuShare(int cores)
    {
        TimeSpan used = Used, elapsed = Stopwatch.GetElapsedTime(_at);
        double share = elapsed > TimeSpan.Zero ? (used - _used) / elapsed / Math.Max(1, cores) : 0;
        (_used, _at) = (used, Stopwatch.GetTimestamp());
        return Math.Max(0, share);
    }

    private static double? ProcessorTemperature()
    {
        double? warmest = null;
        foreach (string path in s_temperatures)
        {
            try
            {
                // Thousandths of a degree.
                if (int.TryParse(File.ReadAllText(path), NumberStyles.AllowLeadingSign | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out int reading) && reading > 0)
                {
                    warmest = Math.Max(warmest ?? 0, reading / 1000.0);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A sensor that does not answer says nothing.
            }
        }

        return warmest;
    }

    private static string[] Temperatures()
    {
        try
        {
            return [.. Directory.GetDirectories("/sys/class/hwmon")
                .Where(chip => File.Exists(Path.Combine(chip, "name")) && s_processors.Contains(File.ReadAllText(Path.Combine(chip, "name")).Trim()))
                .SelectMany(chip => Directory.GetFiles(chip, "temp*_input"))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
