using Lamina.Compute.Templates;
using NetArchTest.Rules;

namespace Lamina.Compute.Tests.Templates;

/// <summary>What the interpreter does not refer to, no template can reach through it.</summary>
public sealed class TemplateReferenceTests
{
    [Trait("Attack", "C1")]
    [Fact]
    public void Interpreter_RefersTo_NoReflectionProcessOrFile()
    {
        PredicateList interpreter = Types.InAssembly(typeof(ChatTemplate).Assembly).That().ResideInNamespace("Lamina.Compute.Templates");
        Assert.InRange(interpreter.GetTypes().Count(), 40, 1000);
        foreach (string forbidden in new[]
        {
            "System.Reflection.Assembly", "System.Reflection.BindingFlags", "System.Reflection.MethodInfo", "System.Reflection.MethodBase",
            "System.Reflection.PropertyInfo", "System.Reflection.FieldInfo", "System.Reflection.ConstructorInfo", "System.Reflection.Emit", "System.Activator", "System.Diagnostics.Process", "System.AppDomain", "System.Net", "System.Runtime.InteropServices.NativeLibrary",
            "System.IO.File", "System.IO.Directory", "System.IO.FileStream", "System.IO.Path", "System.Linq.Expressions", "Microsoft.CSharp",
        })
        {
            NetArchTest.Rules.TestResult result = interpreter.ShouldNot().HaveDependencyOn(forbidden).GetResult();
            Assert.True(result.IsSuccessful, $"{forbidden}: {string.Join(", ", result.FailingTypeNames ?? [])}");
        }
    }
}
