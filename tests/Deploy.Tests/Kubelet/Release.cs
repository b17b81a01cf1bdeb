using System.Text.RegularExpressions;
using k8s;
using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>What Helm would install: the objects, and the notes that tell the operator what is left to do.</summary>
internal sealed partial record Release(IReadOnlyList<Manifest> Manifests, string Notes)
{
    public static Release Render(string values)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, values);
            string notes = DeployTools.RunSuccessfully(DeployTools.Helm, "install", "lamina", Chart.Folder, "--namespace", "lamina", "--values", file, "--dry-run=client");
            return new Release(Chart.Render(values), notes[notes.IndexOf("\nNOTES:", StringComparison.Ordinal)..]);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Does word by word what the notes say about certificates, in a folder of its own.</summary>
    public void MakeCertificates(PlayedCluster cluster)
    {
        string folder = Directory.CreateDirectory(Path.Combine(cluster.Folder, "operator")).FullName;
        foreach (string command in Notes.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n').Select(line => Spaces().Replace(line.Trim(), " ")))
        {
            string[] words = command.Split(' ');
            if (command.StartsWith("lamina pki ", StringComparison.Ordinal) && !(words[2] is "init" or "tenant" && IsThere(folder, words)))
            {
                DeployTools.RunSuccessfully("env", ["--chdir=" + folder, "LAMINA_HOME=" + cluster.Image.App, Path.Combine(cluster.Image.App, "lamina"), .. words[1..]]);
            }
            else if (command.StartsWith("kubectl -n ", StringComparison.Ordinal) && command.Contains(" create secret ", StringComparison.Ordinal))
            {
                cluster.Volumes.Set(KubernetesYaml.Deserialize<V1Secret>(DeployTools.RunSuccessfully("env", ["--chdir=" + folder, DeployTools.Kubectl, .. words[1..], "--dry-run=client", "-o", "yaml"])));
            }
        }
    }

    /// <summary>A key, made with the command that the notes give.</summary>
    /// <param name="whose">A tenant, or <c>--operator</c>.</param>
    public async Task<string> MakeKeyAsync(PlayedCluster cluster, string whose)
    {
        string command = Notes.Split('\n').Single(line => line.Contains($"-- /app/lamina key create {whose} ", StringComparison.Ordinal)).Trim();
        string[] words = command.Split(' ');
        (int code, string output, string error) = await cluster.Pod(words[4]).Containers[0].ExecAsync(words[6..]);
        Assert.True(code == 0, error);
        return output.Trim().Split('\n')[^1].Trim();
    }

    private static bool IsThere(string folder, string[] words) => Directory.Exists(words[2] == "init" ? Path.Combine(folder, "pki") : Path.Combine(folder, "pki", words[3]));

    [GeneratedRegex(" +")]
    private static partial Regex Spaces();
}
