namespace Lamina.Cli.Embedded;

/// <summary>The model that comes with Lamina, found beside the sources or the installed program.</summary>
internal static class BuiltInModel
{
    private const string FileName = "lamina-tiny-q8_0.gguf";

    public static string Path => Folders().Select(folder => System.IO.Path.Combine(folder, "models", FileName)).FirstOrDefault(File.Exists)
        ?? throw new CommandException($"the built-in model models/{FileName} is missing");

    private static IEnumerable<string> Folders()
    {
        if (Environment.GetEnvironmentVariable("LAMINA_HOME") is { Length: > 0 } home)
        {
            yield return home;
        }

        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = System.IO.Path.GetDirectoryName(folder))
        {
            yield return folder;
        }
    }
}
