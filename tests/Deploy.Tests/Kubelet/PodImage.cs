using System.Text.RegularExpressions;
using Lamina.Deploy.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>What the Dockerfile would put into the image, from this build: <c>/app</c>, the entry point and the environment.</summary>
internal sealed partial class PodImage
{
    private static readonly string s_build = Repository.File("artifacts/app");

    private PodImage(string app, string entryPoint, IReadOnlyDictionary<string, string> environment)
    {
        App = app;
        EntryPoint = entryPoint;
        Environment = environment;
    }

    /// <summary>Folder that becomes <c>/app</c>.</summary>
    public string App { get; }

    public string EntryPoint { get; }

    public IReadOnlyDictionary<string, string> Environment { get; }

    public static string? Problem() => File.Exists(Path.Combine(s_build, "lamina")) ? null : "artifacts/app is not published (./test does it)";

    /// <param name="folder">Where the image is laid out; its files are second names of the build's.</param>
    public static PodImage Create(string folder)
    {
        string app = Path.Combine(folder, "app");
        DeployTools.RunSuccessfully("cp", "-a", "--reflink=auto", s_build, app);
        Directory.CreateDirectory(Path.Combine(app, "models"));
        string dockerfile = File.ReadAllText(Repository.File("deploy/docker/Dockerfile"));
        foreach (Match model in Model().Matches(CopiedModels().Match(dockerfile).Groups[1].Value))
        {
            File.Copy(Repository.File(model.Value), Path.Combine(app, model.Value));
        }

        // The base image's own settings, then the Dockerfile's.
        var environment = new Dictionary<string, string> { ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ["DOTNET_RUNNING_IN_CONTAINER"] = "true", ["ASPNETCORE_HTTP_PORTS"] = "8080" };
        foreach (string pair in Variables().Match(dockerfile).Groups[1].Value.Split(' '))
        {
            environment[pair.Split('=')[0]] = pair.Split('=')[1];
        }

        return new PodImage(app, EntryPoints().Match(dockerfile).Groups[1].Value, environment);
    }

    [GeneratedRegex(@"cp (models/.+) /app/models/")]
    private static partial Regex CopiedModels();

    [GeneratedRegex(@"models/\S+")]
    private static partial Regex Model();

    [GeneratedRegex("(?m)^ENV (.+)$")]
    private static partial Regex Variables();

    [GeneratedRegex("(?m)^ENTRYPOINT \\[\"(.+)\"\\]$")]
    private static partial Regex EntryPoints();
}
