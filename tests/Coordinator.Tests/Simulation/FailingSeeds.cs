using System.Globalization;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>
/// Seeds whose simulation failed, each with its reason on a line of failing-seeds.txt beside this file. They are run first from then on; the file is committed with what
/// mends them. Lines that begin with # are remarks.
/// </summary>
internal static class FailingSeeds
{
    private static readonly Lock s_lock = new();

    private static string DefaultFile => Repository.File("tests/Coordinator.Tests/Simulation/failing-seeds.txt");

    public static int[] Read(string? file = null) =>
        File.Exists(file ?? DefaultFile) ? [.. File.ReadLines(file ?? DefaultFile).Where(line => line.Length > 0 && line[0] != '#').Select(Seed)] : [];

    public static void Keep(int seed, string reason, string? file = null)
    {
        lock (s_lock)
        {
            if (!Read(file).Contains(seed))
            {
                File.AppendAllText(file ?? DefaultFile, string.Create(CultureInfo.InvariantCulture, $"{seed} {reason.ReplaceLineEndings(" ")}\n"));
            }
        }
    }

    private static int Seed(string line) => int.Parse(line.Split(' ')[0], CultureInfo.InvariantCulture);
}
