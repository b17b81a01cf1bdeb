using System.Globalization;

namespace Lamina.EndToEnd.Tests;

/// <summary>
/// One run of the shipping executable to its end, with what it took: resident memory at its highest, and processor time, which other processes of a loaded machine do not lengthen.
/// Both are read from <c>/proc</c> until the process is gone, so they can miss its last milliseconds and never show too much.
/// </summary>
internal sealed record MeasuredRun(int ExitCode, string Output, string Error, long PeakBytes, TimeSpan ProcessorTime)
{
    private const int TicksPerSecond = 100, UserTicks = 11, SystemTicks = 12;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    public static Task<MeasuredRun> OfAsync(params string[] arguments) => Task.Factory.StartNew(() => Measure(arguments), TaskCreationOptions.LongRunning);

    private static MeasuredRun Measure(string[] arguments)
    {
        using LaminaProcess process = LaminaProcess.Start(arguments);
        (long peak, TimeSpan used) = (0, TimeSpan.Zero);
        Task exit = process.WaitForExitAsync(s_limit);
        while (!exit.Wait(TimeSpan.FromMilliseconds(2)))
        {
            (long peakNow, TimeSpan usedNow) = SoFar(process.Id);
            (peak, used) = (Math.Max(peak, peakNow), usedNow > used ? usedNow : used);
        }

        return new MeasuredRun(process.ExitCode, process.Output, process.Error, peak, used);
    }

    /// <summary>What a running process has taken; zeros where it has ended.</summary>
    public static (long PeakBytes, TimeSpan ProcessorTime) SoFar(int processId)
    {
        try
        {
            string? peak = File.ReadLines($"/proc/{processId}/status").FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
            string times = File.ReadAllText($"/proc/{processId}/stat");
            string[] fields = times[(times.LastIndexOf(')') + 2)..].Split(' ');
            return (peak is null ? 0 : Number(peak["VmHWM:".Length..^" kB".Length]) << 10, TimeSpan.FromSeconds((double)(Number(fields[UserTicks]) + Number(fields[SystemTicks])) / TicksPerSecond));
        }
        catch (IOException)
        {
            return (0, TimeSpan.Zero);
        }
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
